//! Splits a script into words and operators, as POSIX sh quotes them.

/// A piece of a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text {
        text: String,
        quoted: bool,
    },
    /// `$NAME`, `${NAME}`, `${NAME:-default}`, `$?`
    Variable {
        name: String,
        default: Option<String>,
        quoted: bool,
    },
    /// `$(script)` or backquotes.
    Output {
        script: String,
        quoted: bool,
    },
}

/// A word.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Word(pub(super) Vec<Part>);

impl Word {
    /// The text of a word without expansions and quotes, such as a keyword.
    pub(super) fn bare(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Text { text, quoted: false }] => Some(text),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(Word),
    /// `;` `&` `&&` `||` `|` `(` `)` and the end of a line.
    Operator(&'static str),
    /// A redirection of descriptor `from`; the next word says where to.
    Redirect {
        from: u8,
        operator: &'static str,
    },
    /// A here-document; `expand` where its end was not quoted.
    Here {
        text: String,
        expand: bool,
    },
}

/// Reads a script.
pub(super) fn tokens(script: &str) -> Result<Vec<Token>, String> {
    let mut lexer =
        Lexer { letters: script.chars().collect(), at: 0, tokens: Vec::new(), waiting: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

/// Reads text in which only expansions are special, such as a here-document's.
pub(super) fn expansions(text: &str) -> Result<Word, String> {
    let mut lexer = Lexer { letters: text.chars().collect(), at: 0, tokens: Vec::new(), waiting: Vec::new() };
    let mut word = Word::default();
    lexer.double_quoted(&mut word, None)?;
    Ok(word)
}

struct Lexer {
    letters: Vec<char>,
    at: usize,
    tokens: Vec<Token>,
    /// Here-documents whose text begins at the next line: position of the token, end word, strip tabs.
    waiting: Vec<(usize, String, bool)>,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn looks_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, letter)| self.letters.get(self.at + offset) == Some(&letter))
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(letter) = self.peek() {
            match letter {
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.looks_at("\\\n") => self.at += 2,
                '\n' => {
                    self.at += 1;
                    self.here_documents();
                    self.tokens.push(Token::Operator("\n"));
                }
                '#' => {
                    while self.peek().is_some_and(|letter| letter != '\n') {
                        self.at += 1;
                    }
                }
                _ => self.token()?,
            }
        }
        self.here_documents();
        Ok(())
    }

    fn token(&mut self) -> Result<(), String> {
        for operator in ["&&", "||", ";;", ";", "|", "(", ")"] {
            if self.looks_at(operator) {
                self.at += operator.len();
                self.tokens.push(Token::Operator(operator));
                return Ok(());
            }
        }
        let digit = self.peek().filter(char::is_ascii_digit);
        let start = self.at + usize::from(digit.is_some());
        if matches!(self.letters.get(start), Some('>' | '<')) {
            self.at = start;
            return self.redirection(digit);
        }
        if self.looks_at("&>") {
            self.at += 2;
            self.tokens.push(Token::Redirect { from: 1, operator: "&>" });
            return Ok(());
        }
        if self.looks_at("&") {
            self.at += 1;
            self.tokens.push(Token::Operator("&"));
            return Ok(());
        }
        let word = self.word()?;
        self.tokens.push(Token::Word(word));
        Ok(())
    }

    fn redirection(&mut self, digit: Option<char>) -> Result<(), String> {
        let operator =
            ["<<-", "<<", "<&", "<", ">>", ">&", ">|", ">"].into_iter().find(|text| self.looks_at(text));
        let operator = operator.unwrap_or(">");
        self.at += operator.len();
        let number = digit.and_then(|digit| digit.to_digit(10)).and_then(|value| u8::try_from(value).ok());
        if operator.starts_with("<<") {
            while matches!(self.peek(), Some(' ' | '\t')) {
                self.at += 1;
            }
            let word = self.word()?;
            let quoted = word.0.iter().any(|part| matches!(part, Part::Text { quoted: true, .. }));
            let end: String = word
                .0
                .iter()
                .filter_map(
                    |part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None },
                )
                .collect();
            self.waiting.push((self.tokens.len(), end, operator == "<<-"));
            self.tokens.push(Token::Here { text: String::new(), expand: !quoted });
            return Ok(());
        }
        let from = number.unwrap_or(if operator.starts_with('<') { 0 } else { 1 });
        self.tokens.push(Token::Redirect { from, operator });
        Ok(())
    }

    fn here_documents(&mut self) {
        for (position, end, strip) in std::mem::take(&mut self.waiting) {
            let mut body = String::new();
            while self.at < self.letters.len() {
                let mut line = String::new();
                while let Some(letter) = self.next() {
                    if letter == '\n' {
                        break;
                    }
                    line.push(letter);
                }
                let shown = if strip { line.trim_start_matches('\t') } else { &line };
                if shown == end {
                    break;
                }
                body.push_str(shown);
                body.push('\n');
            }
            if let Some(Token::Here { text, .. }) = self.tokens.get_mut(position) {
                *text = body;
            }
        }
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut word = Word::default();
        while let Some(letter) = self.peek() {
            match letter {
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => {
                    self.at += 1;
                    let text = self.until('\'')?;
                    word.0.push(Part::Text { text, quoted: true });
                }
                '"' => {
                    self.at += 1;
                    let before = word.0.len();
                    self.double_quoted(&mut word, Some('"'))?;
                    if word.0.len() == before {
                        word.0.push(Part::Text { text: String::new(), quoted: true });
                    }
                }
                '\\' => {
                    self.at += 1;
                    match self.next() {
                        Some('\n') => {}
                        Some(escaped) => push(&mut word, escaped, true),
                        None => push(&mut word, '\\', false),
                    }
                }
                '$' | '`' => self.expansion(&mut word, false)?,
                _ => {
                    self.at += 1;
                    push(&mut word, letter, false);
                }
            }
        }
        Ok(word)
    }

    fn double_quoted(&mut self, word: &mut Word, end: Option<char>) -> Result<(), String> {
        while let Some(letter) = self.peek() {
            match letter {
                _ if Some(letter) == end => {
                    self.at += 1;
                    return Ok(());
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(escaped) if matches!(escaped, '$' | '`' | '\\') || Some(escaped) == end => {
                            self.at += 1;
                            push(word, escaped, true);
                        }
                        Some('\n') => self.at += 1,
                        Some(_) | None => push(word, '\\', true),
                    }
                }
                '$' | '`' => self.expansion(word, true)?,
                _ => {
                    self.at += 1;
                    push(word, letter, true);
                }
            }
        }
        if end.is_some() { Err("unterminated quoted string".to_owned()) } else { Ok(()) }
    }

    fn expansion(&mut self, word: &mut Word, quoted: bool) -> Result<(), String> {
        if self.next() == Some('`') {
            let script = self.until('`')?;
            word.0.push(Part::Output { script, quoted });
            return Ok(());
        }
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let script = self.balanced()?;
                word.0.push(Part::Output { script, quoted });
            }
            Some('{') => {
                self.at += 1;
                let inside = self.until('}')?;
                let (name, default) = match inside.split_once(":-").or_else(|| inside.split_once('-')) {
                    Some((name, default)) => (name.to_owned(), Some(default.to_owned())),
                    None => (inside, None),
                };
                word.0.push(Part::Variable { name, default, quoted });
            }
            Some(letter @ ('?' | '$' | '#' | '@' | '*' | '!' | '0'..='9')) => {
                self.at += 1;
                word.0.push(Part::Variable { name: letter.to_string(), default: None, quoted });
            }
            Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                let mut name = String::new();
                while let Some(letter) =
                    self.peek().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
                {
                    self.at += 1;
                    name.push(letter);
                }
                word.0.push(Part::Variable { name, default: None, quoted });
            }
            Some(_) | None => push(word, '$', quoted),
        }
        Ok(())
    }

    fn until(&mut self, end: char) -> Result<String, String> {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            if letter == end {
                return Ok(text);
            }
            text.push(letter);
        }
        Err("unterminated quoted string".to_owned())
    }

    /// Text up to the parenthesis that closes, quotes respected.
    fn balanced(&mut self) -> Result<String, String> {
        let (mut text, mut depth, mut quote) = (String::new(), 1_u32, None);
        while let Some(letter) = self.next() {
            match (quote, letter) {
                (Some(mark), _) if letter == mark => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(letter),
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                (None, _) => {}
            }
            if depth == 0 {
                return Ok(text);
            }
            text.push(letter);
        }
        Err("expecting \")\"".to_owned())
    }
}

fn push(word: &mut Word, letter: char, is_quoted: bool) {
    if let Some(Part::Text { text, quoted }) = word.0.last_mut()
        && *quoted == is_quoted
    {
        text.push(letter);
        return;
    }
    word.0.push(Part::Text { text: letter.to_string(), quoted: is_quoted });
}
