//! An expression's text as tokens, each with the place where it stands.

use super::duration;
use super::error::Error;

/// What an expression's text may hold, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name or keyword; in expressions it may hold colons.
    Word(String),
    Number(f64),
    DurationMs(i64),
    Text(String),
    /// Operators and brackets, as written.
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// Longer signs stand before those that they begin with.
const SIGNS: [&str; 25] = [
    "==", "!=", "=~", "!~", ">=", "<=", "(", ")", "{", "}", "[", "]", ",", ":", "@", "+", "-", "*", "/", "%",
    "^", "=", ">", "<", "!",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<Placed>, Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::TooLarge(format!("an expression has at most {TEXT_BYTES_MAX} bytes")));
    }
    let mut lexer = Lexer { text, at: 0, in_brackets: false };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank();
        let at = lexer.at;
        let token = lexer.next()?;
        let ended = token == Token::End;
        tokens.push(Placed { token, at });
        if ended {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Between `[` and `]` a colon divides range and step, and is no part of a name.
    in_brackets: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    /// Takes the longest start of the rest whose characters pass.
    fn take(&mut self, passes: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !passes(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn next(&mut self) -> Result<Token, Error> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let second_is_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        match first {
            '"' | '\'' | '`' => self.quoted(first),
            '0'..='9' => self.number(),
            '.' if second_is_digit => self.number(),
            c if c.is_ascii_alphabetic() || c == '_' || (c == ':' && !self.in_brackets) => {
                let colons = !self.in_brackets;
                let word = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':'));
                Ok(Token::Word(word.to_owned()))
            }
            _ => self.sign(),
        }
    }

    fn sign(&mut self) -> Result<Token, Error> {
        let rest = self.rest();
        let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) else {
            let found = rest.chars().next().unwrap_or(' ');
            return Err(Error::at(self.text, self.at, format!("unexpected character {found:?}")));
        };
        match sign {
            "[" => self.in_brackets = true,
            "]" => self.in_brackets = false,
            _ => {}
        }
        self.at += sign.len();
        Ok(Token::Sign(sign))
    }

    /// `5m`, `0x1f`, `1.5e-3`.
    fn number(&mut self) -> Result<Token, Error> {
        let start = self.at;
        let word = self.take(|c| c.is_ascii_alphanumeric() || c == '.').to_owned();
        if let Some(millis) = duration::parse(&word) {
            return Ok(Token::DurationMs(millis));
        }
        let mut word = word;
        if word.ends_with(['e', 'E']) && !word.starts_with("0x") && self.rest().starts_with(['+', '-']) {
            self.at += 1;
            self.take(|c| c.is_ascii_digit());
            self.text[start..self.at].clone_into(&mut word);
        }
        let value = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(digits) => u32::from_str_radix(digits, 16).ok().map(f64::from),
            None => word.parse().ok(),
        };
        value.map(Token::Number).ok_or_else(|| {
            let problem = format!("`{word}` is neither a number nor a duration such as 5m or 1h30m");
            Error::at(self.text, start, problem)
        })
    }

    fn quoted(&mut self, quote: char) -> Result<Token, Error> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        let mut rest = self.rest().chars();
        while let Some(c) = rest.next() {
            if c == quote {
                self.at = self.text.len() - rest.as_str().len();
                return Ok(Token::Text(value));
            }
            if c != '\\' || quote == '`' {
                value.push(c);
                continue;
            }
            let escape_at = self.text.len() - rest.as_str().len() - 1;
            let escaped = escape(&mut rest, quote).ok_or_else(|| {
                Error::at(self.text, escape_at, "unknown escape: write \\\\ for a backslash, or quote with `")
            })?;
            value.push(escaped);
        }
        Err(Error::at(self.text, start, format!("this text is not closed: {quote} is missing")))
    }
}

/// What stands for the characters after a backslash, as in Go.
fn escape(rest: &mut std::str::Chars<'_>, quote: char) -> Option<char> {
    let digits = match rest.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'v' => return Some('\u{b}'),
        '\\' => return Some('\\'),
        c if c == quote => return Some(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code: String = rest.by_ref().take(digits).collect();
    if code.len() < digits {
        return None;
    }
    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
}
