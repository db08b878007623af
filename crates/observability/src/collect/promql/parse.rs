//! From text to a checked tree, by precedence climbing over the grammar of Prometheus.
//!
//! Written by hand, where a generated parser would do: every error names its line and column, and says what is
//! expected or not supported.

mod aggregate;
mod binary;
mod call;
mod selector;

use super::ast::{Expression, Kind, Type};
use super::error::Error;
use super::lex::{self, Placed, Token};

/// How deep an expression may nest, so that no text exhausts the stack.
const DEPTH_MAX: usize = 100;

/// Parses and checks an expression.
pub(crate) fn parse(text: &str) -> Result<Expression, Error> {
    let mut parser = Parser { text, tokens: lex::tokens(text)?, next: 0, depth: 0 };
    if parser.peek() == &Token::End {
        return Err(parser.error("the expression is empty"));
    }
    let expression = parser.expression(0)?;
    if parser.peek() == &Token::End {
        Ok(expression)
    } else {
        Err(parser.unexpected("an operator or the end"))
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].token
    }

    /// Where the next token stands.
    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        // The last token is `End`, which stays.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        let there = self.peek() == &Token::Sign(sign);
        if there {
            self.advance();
        }
        there
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Error> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        if there {
            self.advance();
        }
        there
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    fn error(&self, problem: impl Into<String>) -> Error {
        self.error_at(self.at(), problem)
    }

    fn error_at(&self, at: usize, problem: impl Into<String>) -> Error {
        Error::at(self.text, at, problem)
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found = match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Word(word) => format!("`{word}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::Number(number) => format!("the number {number}"),
            Token::DurationMs(millis) => format!("the duration {}", super::duration::format(*millis)),
            Token::Text(text) => format!("the text {text:?}"),
        };
        self.error(format!("unexpected {found}, expected {wanted}"))
    }

    fn expression(&mut self, precedence_min: u8) -> Result<Expression, Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("the expression nests deeper than {DEPTH_MAX}")));
        }
        let mut left = self.unary()?;
        while let Some((operator, precedence)) = self.operator() {
            if precedence < precedence_min {
                break;
            }
            left = self.binary(left, operator, precedence)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// A sign binds like a multiplication: `-2 ^ 2` is -4.
    fn unary(&mut self) -> Result<Expression, Error> {
        let at = self.at();
        let negative = match self.peek() {
            Token::Sign("-") => true,
            Token::Sign("+") => false,
            _ => return self.operand(),
        };
        self.advance();
        let inner = self.expression(binary::POWER)?;
        if !matches!(inner.gives(), Type::Scalar | Type::Vector) {
            let found = inner.gives().words();
            return Err(self.error_at(
                at,
                format!("a sign stands before {found}, not before a scalar or instant vector"),
            ));
        }
        let kind = match inner.kind {
            kind if !negative => kind,
            Kind::Number(number) => Kind::Number(-number),
            kind => Kind::Negate(Box::new(Expression { at: inner.at, kind })),
        };
        Ok(Expression { at, kind })
    }

    fn operand(&mut self) -> Result<Expression, Error> {
        let at = self.at();
        let parenthesized = self.peek() == &Token::Sign("(");
        let mut operand = self.primary()?;
        loop {
            operand = match self.peek() {
                Token::Sign("[") => self.range(operand, parenthesized)?,
                Token::Sign("@") => self.pin(operand)?,
                Token::Word(word) if word.eq_ignore_ascii_case("offset") => self.offset(operand)?,
                _ => return Ok(Expression { at, ..operand }),
            };
        }
    }

    fn primary(&mut self) -> Result<Expression, Error> {
        let at = self.at();
        let kind = match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                Kind::Number(number)
            }
            Token::Text(text) => {
                self.advance();
                Kind::Text(text)
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.expression(0)?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("{") => return self.selector(None),
            Token::Word(word) => return self.word(word),
            Token::DurationMs(_) => {
                return Err(self.error("a duration stands only between [ and ], or after `offset`"));
            }
            Token::Sign(_) | Token::End => return Err(self.unexpected("an expression")),
        };
        Ok(Expression { at, kind })
    }

    /// A number by name, an aggregation, a function's call, or a metric.
    fn word(&mut self, word: String) -> Result<Expression, Error> {
        let at = self.at();
        let called = self.peek_second() == &Token::Sign("(");
        if let Some(aggregation) = super::ast::Aggregation::named(&word)
            && (called || matches!(self.peek_second(), Token::Word(next) if aggregate::is_grouping(next)))
        {
            return self.aggregation(aggregation);
        }
        if called {
            return self.call(&word);
        }
        let number = match word.to_ascii_lowercase().as_str() {
            "inf" => f64::INFINITY,
            "nan" => f64::NAN,
            _ => {
                self.advance();
                return self.selector(Some(word));
            }
        };
        self.advance();
        Ok(Expression { at, kind: Kind::Number(number) })
    }

    /// `(a, b)`; a trailing comma is fine.
    fn label_names(&mut self) -> Result<Vec<String>, Error> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.takes(")") {
            match self.peek().clone() {
                Token::Word(name) if super::labels::is_label_name(&name) => names.push(name),
                _ => return Err(self.unexpected("the name of a label")),
            }
            self.advance();
            if !self.takes(",") && self.peek() != &Token::Sign(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests;
