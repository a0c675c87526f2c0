//! Splits a script into words and operators, as POSIX sh quotes them.

/// What is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// As a shell would say it after `Syntax error:`.
    pub(super) message: String,
    /// More text could mend it.
    pub(super) is_unfinished: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), is_unfinished: false }
    }

    pub(super) fn unfinished(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), is_unfinished: true }
    }
}

/// A piece of a word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text {
        text: String,
        quoted: bool,
    },
    /// `$NAME`, `${NAME}`, `${NAME:-word}`, `$?`
    Variable {
        name: String,
        change: Option<(Change, Word)>,
        quoted: bool,
    },
    /// `$(script)` or backquotes.
    Output {
        script: String,
        quoted: bool,
    },
    /// `$((expression))`
    Arithmetic {
        expression: Word,
        quoted: bool,
    },
}

/// What is done to a variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// `${name-word}`; with `:` also where it is empty, here and below.
    Default { empty_too: bool },
    /// `${name=word}`
    Assign { empty_too: bool },
    /// `${name+word}`
    Alternative { empty_too: bool },
    /// `${name?word}`
    Demand { empty_too: bool },
    /// `${name#pattern}`, or `##` for the longest
    Prefix { longest: bool },
    /// `${name%pattern}`, or `%%` for the longest
    Suffix { longest: bool },
    /// `${#name}`
    Length,
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
        from: u8,
        text: String,
        expand: bool,
    },
}

/// Reads a script.
pub(super) fn tokens(script: &str) -> Result<Vec<Token>, Failure> {
    let mut lexer = Lexer::new(script);
    lexer.run()?;
    Ok(lexer.tokens)
}

/// Reads text in which only expansions are special, such as a here-document's.
pub(super) fn expansions(text: &str) -> Result<Word, Failure> {
    let mut lexer = Lexer::new(text);
    let mut word = Word::default();
    lexer.double_quoted(&mut word, None)?;
    Ok(word)
}

/// Reads text as one word, spaces and all.
fn whole(text: &str, quoted: bool) -> Result<Word, Failure> {
    if quoted {
        return expansions(text);
    }
    let mut lexer = Lexer::new(text);
    let mut word = Word::default();
    while lexer.peek().is_some() {
        lexer.piece(&mut word)?;
    }
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
    fn new(text: &str) -> Lexer {
        Lexer { letters: text.chars().collect(), at: 0, tokens: Vec::new(), waiting: Vec::new() }
    }

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

    fn run(&mut self) -> Result<(), Failure> {
        while let Some(letter) = self.peek() {
            match letter {
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.looks_at("\\\n") => {
                    self.at += 2;
                    if self.peek().is_none() {
                        return Err(Failure::unfinished("end of file unexpected"));
                    }
                }
                '\n' => {
                    self.at += 1;
                    self.here_documents()?;
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
        self.here_documents()
    }

    fn token(&mut self) -> Result<(), Failure> {
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

    fn redirection(&mut self, digit: Option<char>) -> Result<(), Failure> {
        let operator = ["<<-", "<<", "<&", "<>", "<", ">>", ">&", ">|", ">"]
            .into_iter()
            .find(|text| self.looks_at(text));
        let operator = operator.unwrap_or(">");
        self.at += operator.len();
        let number = digit.and_then(|digit| digit.to_digit(10)).and_then(|value| u8::try_from(value).ok());
        if operator.starts_with("<<") {
            while matches!(self.peek(), Some(' ' | '\t')) {
                self.at += 1;
            }
            let word = self.word()?;
            let quoted = word.0.iter().any(|part| matches!(part, Part::Text { quoted: true, .. }));
            let text =
                |part: &Part| if let Part::Text { text, .. } = part { Some(text.clone()) } else { None };
            let end: String = word.0.iter().filter_map(text).collect();
            self.waiting.push((self.tokens.len(), end, operator == "<<-"));
            self.tokens.push(Token::Here { from: number.unwrap_or(0), text: String::new(), expand: !quoted });
            return Ok(());
        }
        let from = number.unwrap_or(if operator.starts_with('<') { 0 } else { 1 });
        self.tokens.push(Token::Redirect { from, operator });
        Ok(())
    }

    fn here_documents(&mut self) -> Result<(), Failure> {
        for (position, end, strip) in std::mem::take(&mut self.waiting) {
            let (mut body, mut has_ended) = (String::new(), false);
            while self.at < self.letters.len() && !has_ended {
                let mut line = String::new();
                while let Some(letter) = self.next() {
                    if letter == '\n' {
                        break;
                    }
                    line.push(letter);
                }
                let shown = if strip { line.trim_start_matches('\t') } else { &line };
                has_ended = shown == end;
                if !has_ended {
                    body.push_str(shown);
                    body.push('\n');
                }
            }
            if let Some(Token::Here { text, .. }) = self.tokens.get_mut(position) {
                *text = body;
            }
            if !has_ended {
                // A script may end here; somebody at a terminal goes on.
                self.tokens.push(Token::Operator("<<"));
            }
        }
        Ok(())
    }

    fn word(&mut self) -> Result<Word, Failure> {
        let mut word = Word::default();
        while let Some(letter) = self.peek() {
            if matches!(letter, ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '(' | ')' | '<' | '>') {
                break;
            }
            self.piece(&mut word)?;
        }
        Ok(word)
    }

    fn piece(&mut self, word: &mut Word) -> Result<(), Failure> {
        match self.peek() {
            Some('\'') => {
                self.at += 1;
                let text = self.until('\'')?;
                word.0.push(Part::Text { text, quoted: true });
            }
            Some('"') => {
                self.at += 1;
                let before = word.0.len();
                self.double_quoted(word, Some('"'))?;
                if word.0.len() == before {
                    word.0.push(Part::Text { text: String::new(), quoted: true });
                }
            }
            Some('\\') => {
                self.at += 1;
                match self.next() {
                    Some('\n') => {}
                    Some(escaped) => push(word, escaped, true),
                    None => push(word, '\\', false),
                }
            }
            Some('$' | '`') => self.expansion(word, false)?,
            Some(letter) => {
                self.at += 1;
                push(word, letter, false);
            }
            None => {}
        }
        Ok(())
    }

    fn double_quoted(&mut self, word: &mut Word, end: Option<char>) -> Result<(), Failure> {
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
        if end.is_some() { Err(Failure::unfinished("unterminated quoted string")) } else { Ok(()) }
    }

    fn expansion(&mut self, word: &mut Word, quoted: bool) -> Result<(), Failure> {
        if self.next() == Some('`') {
            let script = self.backquoted()?;
            word.0.push(Part::Output { script, quoted });
            return Ok(());
        }
        match self.peek() {
            Some('(') if self.looks_at("((") => {
                let start = self.at;
                self.at += 1;
                let inside = self.balanced('(', ')')?;
                match inside.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
                    Some(expression) => {
                        word.0.push(Part::Arithmetic { expression: expansions(expression)?, quoted });
                    }
                    None => {
                        self.at = start + 1;
                        let script = self.balanced('(', ')')?;
                        word.0.push(Part::Output { script, quoted });
                    }
                }
            }
            Some('(') => {
                self.at += 1;
                let script = self.balanced('(', ')')?;
                word.0.push(Part::Output { script, quoted });
            }
            Some('{') => {
                self.at += 1;
                let inside = self.balanced('{', '}')?;
                word.0.push(braced(&inside, quoted)?);
            }
            Some(letter @ ('?' | '$' | '#' | '@' | '*' | '!' | '-' | '0'..='9')) => {
                self.at += 1;
                word.0.push(Part::Variable { name: letter.to_string(), change: None, quoted });
            }
            Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                let mut name = String::new();
                while let Some(letter) =
                    self.peek().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
                {
                    self.at += 1;
                    name.push(letter);
                }
                word.0.push(Part::Variable { name, change: None, quoted });
            }
            Some(_) | None => push(word, '$', quoted),
        }
        Ok(())
    }

    fn until(&mut self, end: char) -> Result<String, Failure> {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            if letter == end {
                return Ok(text);
            }
            text.push(letter);
        }
        Err(Failure::unfinished("unterminated quoted string"))
    }

    fn backquoted(&mut self) -> Result<String, Failure> {
        let mut text = String::new();
        while let Some(letter) = self.next() {
            match letter {
                '`' => return Ok(text),
                '\\' if matches!(self.peek(), Some('`' | '\\' | '$')) => text.extend(self.next()),
                _ => text.push(letter),
            }
        }
        Err(Failure::unfinished("EOF in backquote substitution"))
    }

    /// Text up to the bracket that closes, quotes respected.
    fn balanced(&mut self, open: char, close: char) -> Result<String, Failure> {
        let (mut text, mut depth, mut quote) = (String::new(), 1_u32, None);
        while let Some(letter) = self.next() {
            match (quote, letter) {
                (quote, '\\') if quote != Some('\'') => {
                    text.push(letter);
                    text.extend(self.next());
                    continue;
                }
                (Some(mark), _) if letter == mark => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(letter),
                (None, _) if letter == open => depth += 1,
                (None, _) if letter == close => depth -= 1,
                (None, _) => {}
            }
            if depth == 0 {
                return Ok(text);
            }
            text.push(letter);
        }
        Err(Failure::unfinished(format!("expecting \"{close}\"")))
    }
}

/// What is between `${` and `}`.
fn braced(inside: &str, quoted: bool) -> Result<Part, Failure> {
    let variable = |name: &str, change| Part::Variable { name: name.to_owned(), change, quoted };
    if let Some(name) = inside.strip_prefix('#').filter(|name| !name.is_empty()) {
        return Ok(variable(name, Some((Change::Length, Word::default()))));
    }
    let is_special = inside.starts_with(['?', '$', '#', '@', '*', '!', '-']);
    let end = if is_special {
        1
    } else {
        inside.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(inside.len())
    };
    let (name, rest) = inside.split_at(end);
    if name.is_empty() {
        return Err(Failure::new("Bad substitution"));
    }
    let operators = [
        (":-", Change::Default { empty_too: true }),
        ("-", Change::Default { empty_too: false }),
        (":=", Change::Assign { empty_too: true }),
        ("=", Change::Assign { empty_too: false }),
        (":+", Change::Alternative { empty_too: true }),
        ("+", Change::Alternative { empty_too: false }),
        (":?", Change::Demand { empty_too: true }),
        ("?", Change::Demand { empty_too: false }),
        ("##", Change::Prefix { longest: true }),
        ("#", Change::Prefix { longest: false }),
        ("%%", Change::Suffix { longest: true }),
        ("%", Change::Suffix { longest: false }),
    ];
    if rest.is_empty() {
        return Ok(variable(name, None));
    }
    let found = operators.into_iter().find_map(|(text, change)| Some((change, rest.strip_prefix(text)?)));
    let Some((change, text)) = found else { return Err(Failure::new("Bad substitution")) };
    let is_pattern = matches!(change, Change::Prefix { .. } | Change::Suffix { .. });
    Ok(variable(name, Some((change, whole(text, quoted && !is_pattern)?))))
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
