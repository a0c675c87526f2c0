//! Writes XML: elements and text, no attributes but a namespace.

/// A document that grows element by element.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    /// `<name xmlns="…">…</name>` behind the XML declaration.
    pub(crate) fn document(name: &str, namespace: &str, fill: impl FnOnce(&mut Xml)) -> Vec<u8> {
        let mut xml = Xml(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
        let attribute = if namespace.is_empty() { String::new() } else { format!(" xmlns=\"{namespace}\"") };
        xml.0.push_str(&format!("<{name}{attribute}>"));
        fill(&mut xml);
        xml.0.push_str(&format!("</{name}>"));
        xml.0.into_bytes()
    }

    /// An element with elements in it.
    pub(crate) fn element(&mut self, name: &str, fill: impl FnOnce(&mut Xml)) {
        self.0.push_str(&format!("<{name}>"));
        fill(self);
        self.0.push_str(&format!("</{name}>"));
    }

    /// An element with text in it.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.element(name, |xml| xml.0.push_str(&escape(value)));
    }

    /// Text where it stands.
    pub(crate) fn content(&mut self, value: &str) {
        self.0.push_str(&escape(value));
    }

    /// An element with an element `member` for each item.
    pub(crate) fn members<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        fill: impl Fn(&mut Xml, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element("member", |xml| fill(xml, item));
            }
        });
    }

    /// An element with text in it, where there is any.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }
}

/// Escapes text; characters that XML 1.0 cannot hold become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\t' | '\n' => out.push(character),
            control if (control as u32) < 0x20 || matches!(control, '\u{FFFE}' | '\u{FFFF}') => {
                out.push('\u{FFFD}')
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_nest() {
        let bytes = Xml::document("A", "urn:x", |xml| xml.element("b", |xml| xml.text("c", "<&>")));
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with("<A xmlns=\"urn:x\"><b><c>&lt;&amp;&gt;</c></b></A>"), "{text}");
    }

    proptest! {
        #[test]
        fn escaped_text_has_no_markup(text in ".*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains('<') && !escaped.contains('>'));
        }
    }
}
