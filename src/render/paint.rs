//! Colour, where it is wanted. Nothing depends on it.

use herder_core::verdict::Verdict;

/// Puts text in colour, or leaves it alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paint {
    /// Whether there is colour.
    pub(crate) is_on: bool,
}

impl Paint {
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    /// In the colour of a verdict: good, bad or neither.
    pub(crate) fn verdict(self, verdict: Verdict, text: &str) -> String {
        match verdict {
            Verdict::Ok => self.green(text),
            verdict if verdict.is_bad() => self.red(text),
            _ => self.yellow(text),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
