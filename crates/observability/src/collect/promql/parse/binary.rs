//! Operators between two expressions, with `bool`, `on`, `ignoring`, `group_left` and `group_right`.

use super::Parser;
use crate::collect::promql::ast::{Binary, Expression, Group, Kind, Labelled, Matching, Operator, Type};
use crate::collect::promql::error::Error;
use crate::collect::promql::lex::Token;

/// The precedence of `^`, the highest.
pub(super) const POWER: u8 = 6;

const SIGNS: [(&str, Operator, u8); 12] = [
    ("^", Operator::Power, POWER),
    ("*", Operator::Multiply, 5),
    ("/", Operator::Divide, 5),
    ("%", Operator::Modulo, 5),
    ("+", Operator::Add, 4),
    ("-", Operator::Subtract, 4),
    ("==", Operator::Equal, 3),
    ("!=", Operator::NotEqual, 3),
    (">", Operator::Greater, 3),
    ("<", Operator::Less, 3),
    (">=", Operator::GreaterOrEqual, 3),
    ("<=", Operator::LessOrEqual, 3),
];

const WORDS: [(&str, Operator, u8); 4] = [
    ("atan2", Operator::Atan2, 5),
    ("and", Operator::And, 2),
    ("unless", Operator::Unless, 2),
    ("or", Operator::Or, 1),
];

impl Parser<'_> {
    pub(super) fn operator(&self) -> Option<(Operator, u8)> {
        let found = match self.peek() {
            Token::Sign(sign) => SIGNS.iter().find(|(known, ..)| known == sign),
            Token::Word(word) => WORDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(word)),
            _ => None,
        };
        found.map(|(_, operator, precedence)| (*operator, *precedence))
    }

    pub(super) fn binary(
        &mut self,
        left: Expression,
        operator: Operator,
        precedence: u8,
    ) -> Result<Expression, Error> {
        let at = self.at();
        self.advance();
        let answers_bool = self.takes_word("bool");
        if answers_bool && !operator.is_comparison() {
            return Err(self.error_at(at, "`bool` stands only after a comparison"));
        }
        let matching = self.matching()?;
        // Only the power groups to the right.
        let right = self.expression(if operator == Operator::Power { precedence } else { precedence + 1 })?;
        let binary = Binary { operator, left, right, answers_bool, matching: matching.unwrap_or_default() };
        self.check_binary(&binary, at)?;
        let first = binary.left.at;
        Ok(Expression { at: first, kind: Kind::Binary(Box::new(binary)) })
    }

    fn matching(&mut self) -> Result<Option<Matching>, Error> {
        let labels = if self.takes_word("on") {
            Labelled::On(self.label_names()?)
        } else if self.takes_word("ignoring") {
            Labelled::Ignoring(self.label_names()?)
        } else {
            return Ok(None);
        };
        let at = self.at();
        let group = if self.takes_word("group_left") {
            Group::Left
        } else if self.takes_word("group_right") {
            Group::Right
        } else {
            Group::OneToOne
        };
        let listed = group != Group::OneToOne && self.peek() == &Token::Sign("(");
        let include = if listed { self.label_names()? } else { Vec::new() };
        if let Labelled::On(on) = &labels
            && let Some(twice) = include.iter().find(|name| on.contains(name))
        {
            return Err(
                self.error_at(at, format!("the label {twice} is matched on, and cannot be copied too"))
            );
        }
        Ok(Some(Matching { labels, group, include }))
    }

    fn check_binary(&self, binary: &Binary, at: usize) -> Result<(), Error> {
        let (left, right) = (binary.left.gives(), binary.right.gives());
        for (side, found) in [(&binary.left, left), (&binary.right, right)] {
            if !matches!(found, Type::Scalar | Type::Vector) {
                let problem =
                    format!("an operator stands between scalars and instant vectors, not {}", found.words());
                return Err(self.error_at(side.at, problem));
            }
        }
        let both_scalars = left == Type::Scalar && right == Type::Scalar;
        let both_vectors = left == Type::Vector && right == Type::Vector;
        if binary.operator.is_comparison() && both_scalars && !binary.answers_bool {
            return Err(self.error_at(at, "a comparison of two scalars needs `bool`, as in 1 > bool 2"));
        }
        if binary.operator.is_set() && !both_vectors {
            return Err(self.error_at(at, "and, or, unless stand between instant vectors, not scalars"));
        }
        if binary.operator.is_set() && binary.matching.group != Group::OneToOne {
            return Err(self.error_at(at, "and, or, unless take no group_left or group_right"));
        }
        let matched = binary.matching.group != Group::OneToOne
            || !matches!(&binary.matching.labels, Labelled::Ignoring(names) if names.is_empty());
        if matched && !both_vectors {
            return Err(self.error_at(at, "on and ignoring stand only between two instant vectors"));
        }
        Ok(())
    }
}
