//! `sum by (a) (x)`, `topk(3, x)`.

use super::Parser;
use crate::collect::promql::ast::{Aggregate, Aggregation, Expression, Grouping, Kind, Type};
use crate::collect::promql::error::Error;

pub(super) fn is_grouping(word: &str) -> bool {
    word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
}

impl Parser<'_> {
    pub(super) fn aggregation(&mut self, operation: Aggregation) -> Result<Expression, Error> {
        let at = self.at();
        let name = operation.name();
        self.advance();
        let before = self.grouping()?;
        let arguments = self.arguments()?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or(Grouping::By(Vec::new())),
        };
        let wanted = match operation {
            Aggregation::Topk | Aggregation::Bottomk | Aggregation::Quantile => Some(Type::Scalar),
            Aggregation::CountValues => Some(Type::Text),
            _ => None,
        };
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        let (parameter, inner) = match (wanted, arguments.next(), arguments.next(), arguments.next()) {
            (None, Some(inner), None, None) => (None, inner),
            (Some(wanted), Some(parameter), Some(inner), None) => {
                self.is_of(&parameter, wanted, || format!("the parameter of {name}"))?;
                (Some(parameter), inner)
            }
            _ => {
                let takes = if wanted.is_some() { "2 arguments" } else { "1 argument" };
                return Err(self.error_at(at, format!("{name} takes {takes}, not {count}")));
            }
        };
        self.is_of(&inner, Type::Vector, || format!("the argument of {name}"))?;
        let aggregate = Aggregate { operation, inner, parameter, grouping };
        Ok(Expression { at, kind: Kind::Aggregate(Box::new(aggregate)) })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Error> {
        if self.takes_word("by") {
            Ok(Some(Grouping::By(self.label_names()?)))
        } else if self.takes_word("without") {
            Ok(Some(Grouping::Without(self.label_names()?)))
        } else {
            Ok(None)
        }
    }
}
