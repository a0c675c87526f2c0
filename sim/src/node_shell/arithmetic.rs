//! Whole numbers as `$((…))` computes with them.

use std::collections::BTreeMap;

/// Deepest nesting of an expression.
const DEPTH: u32 = 60;

/// Computes an expression; assignments in it change the variables.
pub(super) fn evaluate(text: &str, variables: &mut BTreeMap<String, String>) -> Result<i64, String> {
    let mut reader = Reader { letters: text.chars().collect(), at: 0, variables, depth: 0 };
    let value = reader.assignment()?;
    reader.blanks();
    if reader.at < reader.letters.len() {
        return Err(format!("arithmetic expression: expecting EOF: \"{text}\""));
    }
    Ok(value)
}

struct Reader<'a> {
    letters: Vec<char>,
    at: usize,
    variables: &'a mut BTreeMap<String, String>,
    depth: u32,
}

type Value = Result<i64, String>;

/// Operators with two sides, the loosest first.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.letters.get(self.at).is_some_and(|letter| letter.is_whitespace()) {
            self.at += 1;
        }
    }

    fn looks_at(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, letter)| self.letters.get(self.at + offset) == Some(&letter))
    }

    fn takes(&mut self, text: &str) -> bool {
        self.blanks();
        let found = self.looks_at(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn name(&mut self) -> Option<String> {
        self.blanks();
        let start = self.at;
        while let Some(letter) = self.letters.get(self.at) {
            let fits = letter.is_ascii_alphabetic()
                || *letter == '_'
                || (self.at > start && letter.is_ascii_digit());
            if !fits {
                break;
            }
            self.at += 1;
        }
        let name: String = self.letters.get(start..self.at)?.iter().collect();
        (!name.is_empty()).then_some(name)
    }

    fn assignment(&mut self) -> Value {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("arithmetic expression: too deeply nested".to_owned());
        }
        let start = self.at;
        if let Some(name) = self.name() {
            for operator in ["=", "+=", "-=", "*=", "/=", "%="] {
                self.blanks();
                if !self.looks_at(operator) || self.looks_at("==") {
                    continue;
                }
                self.at += operator.len();
                let right = self.assignment()?;
                let value = match operator.strip_suffix('=') {
                    Some("") | None => right,
                    Some(sign) => compute(sign, self.variable(&name), right)?,
                };
                self.variables.insert(name, value.to_string());
                self.depth -= 1;
                return Ok(value);
            }
        }
        self.at = start;
        let value = self.choice();
        self.depth -= 1;
        value
    }

    fn choice(&mut self) -> Value {
        let condition = self.level(0)?;
        if !self.takes("?") {
            return Ok(condition);
        }
        let yes = self.assignment()?;
        if !self.takes(":") {
            return Err("arithmetic expression: expecting ':'".to_owned());
        }
        let no = self.assignment()?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn level(&mut self, level: usize) -> Value {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut value = self.level(level + 1)?;
        loop {
            self.blanks();
            let found =
                operators.iter().find(|operator| self.looks_at(operator) && !self.is_longer(operator));
            let Some(operator) = found else { return Ok(value) };
            self.at += operator.len();
            let right = self.level(level + 1)?;
            value = compute(operator, value, right)?;
        }
    }

    /// What looks like an operator is the beginning of another one.
    fn is_longer(&self, operator: &str) -> bool {
        match operator {
            "|" => self.looks_at("||"),
            "&" => self.looks_at("&&"),
            "<" => self.looks_at("<<"),
            ">" => self.looks_at(">>"),
            _ => false,
        }
    }

    fn unary(&mut self) -> Value {
        self.blanks();
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("arithmetic expression: too deeply nested".to_owned());
        }
        let value = match self.letters.get(self.at).copied() {
            Some('-') => {
                self.at += 1;
                self.unary()?.wrapping_neg()
            }
            Some('+') => {
                self.at += 1;
                self.unary()?
            }
            Some('!') => {
                self.at += 1;
                i64::from(self.unary()? == 0)
            }
            Some('~') => {
                self.at += 1;
                !self.unary()?
            }
            Some('(') => {
                self.at += 1;
                let value = self.assignment()?;
                if !self.takes(")") {
                    return Err("arithmetic expression: expecting ')'".to_owned());
                }
                value
            }
            Some(digit) if digit.is_ascii_digit() => self.number()?,
            _ => match self.name() {
                Some(name) => self.variable(&name),
                None => return Err("arithmetic expression: expecting primary".to_owned()),
            },
        };
        self.depth -= 1;
        Ok(value)
    }

    fn number(&mut self) -> Value {
        let start = self.at;
        while self.letters.get(self.at).is_some_and(|letter| letter.is_ascii_alphanumeric()) {
            self.at += 1;
        }
        let text: String = self.letters.get(start..self.at).unwrap_or_default().iter().collect();
        number(&text).ok_or_else(|| format!("arithmetic expression: expecting EOF: \"{text}\""))
    }

    fn variable(&self, name: &str) -> i64 {
        self.variables.get(name).and_then(|text| number(text.trim())).unwrap_or(0)
    }
}

/// Reads a decimal, octal (`0…`) or hexadecimal (`0x…`) number.
pub(super) fn number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        None => (10, digits),
    };
    i64::from_str_radix(digits, radix).ok().map(|value| sign * value)
}

fn compute(operator: &str, left: i64, right: i64) -> Value {
    let zero = || "arithmetic expression: division by zero".to_owned();
    let shift = (right & 63) as u32;
    Ok(match operator {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<<" => left.wrapping_shl(shift),
        ">>" => left.wrapping_shr(shift),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" if right == 0 => return Err(zero()),
        "/" => left.wrapping_div(right),
        "%" if right == 0 => return Err(zero()),
        _ => left.wrapping_rem(right),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_computed() {
        let mut variables =
            BTreeMap::from([("n".to_owned(), "7".to_owned()), ("x".to_owned(), "word".to_owned())]);
        for (text, value) in [
            ("1 + 2 * 3", 7),
            ("(1+2)*3", 9),
            ("n % 4 == 3", 1),
            ("-n + +1", -6),
            ("!0 && 1 || 0", 1),
            ("1 << 4 | 1", 17),
            ("n > 3 ? 10 : 20", 10),
            ("0x10 + 010", 24),
            ("x + none", 0),
            ("i = n + 1", 8),
            ("i += 2", 10),
            ("7 / 2 * 2", 6),
            ("1 != 2 & 3", 1),
        ] {
            assert_eq!(evaluate(text, &mut variables), Ok(value), "{text}");
        }
        assert_eq!(variables["i"], "10");
        for text in ["", "1 +", "1 / 0", "2 % 0", "(1", "1 2", "09", "$"] {
            assert!(evaluate(text, &mut variables).is_err(), "{text}");
        }
        assert!(evaluate(&"(".repeat(500), &mut variables).is_err());
        assert!(evaluate(&"-".repeat(500), &mut variables).is_err());
    }
}
