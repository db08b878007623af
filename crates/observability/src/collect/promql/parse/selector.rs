//! Selectors of series, with their range, `offset` and `@`.

use super::Parser;
use crate::collect::promql::ast::{Expression, Kind, Pin, Selector, Shift, Subquery, Type};
use crate::collect::promql::error::Error;
use crate::collect::promql::labels::{METRIC_NAME, is_label_name};
use crate::collect::promql::lex::Token;
use crate::collect::promql::number;
use crate::collect::promql::select::{Matcher, Test, anchored};

impl Parser<'_> {
    pub(super) fn selector(&mut self, name: Option<String>) -> Result<Expression, Error> {
        let at = self.at();
        let mut matchers = Vec::new();
        if self.takes("{") {
            while !self.takes("}") {
                matchers.push(self.matcher()?);
                if !self.takes(",") && self.peek() != &Token::Sign("}") {
                    return Err(self.unexpected("`,` or `}`"));
                }
            }
        }
        if let Some(name) = name {
            if matchers.iter().any(|matcher| matcher.name == METRIC_NAME) {
                return Err(
                    self.error_at(at, format!("the metric's name is given twice: {name} and __name__"))
                );
            }
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        if matchers.iter().all(|matcher| matcher.accepts("")) {
            let problem =
                "a selector needs a name or a matcher that no empty value passes: it would select everything";
            return Err(self.error_at(at, problem));
        }
        Ok(Expression { at, kind: Kind::Vector(Selector { matchers, shift: Shift::default() }) })
    }

    fn matcher(&mut self) -> Result<Matcher, Error> {
        let name = match self.peek().clone() {
            Token::Word(name) if is_label_name(&name) => name,
            _ => return Err(self.unexpected("the name of a label")),
        };
        self.advance();
        let sign = match self.peek() {
            Token::Sign(sign @ ("=" | "!=" | "=~" | "!~")) => *sign,
            _ => return Err(self.unexpected("one of = != =~ !~")),
        };
        self.advance();
        let at = self.at();
        let Token::Text(value) = self.peek().clone() else { return Err(self.unexpected("a text in quotes")) };
        self.advance();
        let pattern = |value: &str| {
            anchored(value).map_err(|error| {
                let reason = error.to_string();
                let reason =
                    reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.error_at(at, format!("the pattern {value:?} is invalid: {reason}"))
            })
        };
        let test = match sign {
            "=" => Test::Equal(value),
            "!=" => Test::NotEqual(value),
            "=~" => Test::Matches(pattern(&value)?),
            _ => Test::MatchesNot(pattern(&value)?),
        };
        Ok(Matcher { name, test })
    }

    /// `[5m]` or `[5m:1m]`.
    pub(super) fn range(&mut self, of: Expression, parenthesized: bool) -> Result<Expression, Error> {
        let at = of.at;
        self.expect("[")?;
        let range_ms = self.positive_duration()?;
        if self.takes(":") {
            let stepped = self.peek() != &Token::Sign("]");
            let step_ms = if stepped { Some(self.positive_duration()?) } else { None };
            self.expect("]")?;
            self.is_of(&of, Type::Vector, || "what a subquery repeats".to_owned()).or_else(|error| {
                // A scalar may be repeated too.
                if of.gives() == Type::Scalar { Ok(()) } else { Err(error) }
            })?;
            let subquery = Subquery { inner: of, range_ms, step_ms, shift: Shift::default() };
            return Ok(Expression { at, kind: Kind::Subquery(Box::new(subquery)) });
        }
        self.expect("]")?;
        match of.kind {
            Kind::Vector(selector) if !parenthesized => {
                if selector.shift.offset_ms.is_some() || selector.shift.pin.is_some() {
                    return Err(self.error_at(at, "the range stands before offset and @: x[5m] offset 1h"));
                }
                Ok(Expression { at, kind: Kind::Matrix { selector, range_ms } })
            }
            _ => {
                let problem =
                    "only a selector has a range; of other expressions write a subquery, as in [5m:1m]";
                Err(self.error_at(at, problem))
            }
        }
    }

    fn positive_duration(&mut self) -> Result<i64, Error> {
        match *self.peek() {
            Token::DurationMs(millis) if millis > 0 => {
                self.advance();
                Ok(millis)
            }
            Token::DurationMs(_) => Err(self.error("a duration here is longer than 0")),
            _ => Err(self.unexpected("a duration such as 5m")),
        }
    }

    pub(super) fn offset(&mut self, mut of: Expression) -> Result<Expression, Error> {
        self.advance();
        let negative = self.takes("-");
        let Token::DurationMs(millis) = *self.peek() else {
            return Err(self.unexpected("a duration such as 5m"));
        };
        self.advance();
        let at = of.at;
        let shift = shift_of(&mut of.kind)
            .ok_or_else(|| self.error_at(at, "offset stands only after a selector or a subquery"))?;
        if shift.offset_ms.is_some() {
            return Err(self.error_at(at, "offset is given twice"));
        }
        shift.offset_ms = Some(if negative { -millis } else { millis });
        Ok(of)
    }

    pub(super) fn pin(&mut self, mut of: Expression) -> Result<Expression, Error> {
        self.advance();
        let pin = self.pinned_time()?;
        let at = of.at;
        let shift = shift_of(&mut of.kind)
            .ok_or_else(|| self.error_at(at, "@ stands only after a selector or a subquery"))?;
        if shift.pin.is_some() {
            return Err(self.error_at(at, "@ is given twice"));
        }
        shift.pin = Some(pin);
        Ok(of)
    }

    fn pinned_time(&mut self) -> Result<Pin, Error> {
        for (word, pin) in [("start", Pin::Start), ("end", Pin::End)] {
            if self.takes_word(word) {
                self.expect("(")?;
                self.expect(")")?;
                return Ok(pin);
            }
        }
        let negative = self.takes("-");
        let Token::Number(seconds) = *self.peek() else {
            return Err(self.unexpected("a time in seconds, start() or end()"));
        };
        let signed = if negative { -seconds } else { seconds };
        let millis = number::millis(signed).ok_or_else(|| self.error("this time is out of range"))?;
        self.advance();
        Ok(Pin::AtMs(millis))
    }
}

fn shift_of(kind: &mut Kind) -> Option<&mut Shift> {
    match kind {
        Kind::Vector(selector) | Kind::Matrix { selector, .. } => Some(&mut selector.shift),
        Kind::Subquery(subquery) => Some(&mut subquery.shift),
        _ => None,
    }
}
