//! Calls of functions, with the number and the types of their arguments.

use super::Parser;
use crate::collect::promql::ast::{Expression, Kind, Type};
use crate::collect::promql::error::Error;
use crate::collect::promql::function::{self, Function};

impl Parser<'_> {
    pub(super) fn call(&mut self, name: &str) -> Result<Expression, Error> {
        let at = self.at();
        let function = function::named(name).ok_or_else(|| self.error(function::unknown(name)))?;
        self.advance();
        let arguments = self.arguments()?;
        self.count_fits(function, arguments.len(), at)?;
        for (i, argument) in arguments.iter().enumerate() {
            let wanted = function.takes[i.min(function.takes.len() - 1)];
            self.is_of(argument, wanted, || format!("argument {} of {name}", i + 1))?;
        }
        Ok(Expression { at, kind: Kind::Call { function, arguments } })
    }

    fn count_fits(&self, function: &Function, given: usize, at: usize) -> Result<(), Error> {
        let (least, most) = (function.takes.len() - function.optional, function.takes.len());
        if given >= least && (given <= most || function.repeats) {
            return Ok(());
        }
        let wanted = match (function.repeats, least == most) {
            (true, _) => format!("at least {least} arguments"),
            (false, true) if most == 1 => "1 argument".to_owned(),
            (false, true) => format!("{most} arguments"),
            (false, false) => format!("{least} to {most} arguments"),
        };
        Err(self.error_at(at, format!("{} takes {wanted}, not {given}", function.name)))
    }

    /// `(x, y)`.
    pub(super) fn arguments(&mut self) -> Result<Vec<Expression>, Error> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.takes(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.takes(")") {
                return Ok(arguments);
            }
            if !self.takes(",") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }

    pub(super) fn is_of(
        &self,
        expression: &Expression,
        wanted: Type,
        what: impl Fn() -> String,
    ) -> Result<(), Error> {
        let found = expression.gives();
        if found == wanted {
            return Ok(());
        }
        let hint = match (found, wanted) {
            (Type::Vector, Type::Range) => ": write a range behind the selector, as in x[5m]",
            (Type::Range, Type::Vector) => ": remove the range, or wrap it in a function such as rate()",
            (Type::Scalar, Type::Vector) => ": wrap it in vector()",
            (Type::Vector, Type::Scalar) => ": wrap it in scalar()",
            _ => "",
        };
        let (what, wanted, found) = (what(), wanted.words(), found.words());
        Err(self.error_at(expression.at, format!("{what} is {found}, expected {wanted}{hint}")))
    }
}
