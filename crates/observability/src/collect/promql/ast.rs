//! The tree of an expression. Every node knows where it stands in the text, for the words of an error.

use super::function::Function;
use super::select::Matcher;

/// A checked expression: its types fit, its functions are known.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) at: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Number(f64),
    Text(String),
    Vector(Selector),
    Matrix { selector: Selector, range_ms: i64 },
    Subquery(Box<Subquery>),
    Negate(Box<Expression>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call { function: &'static Function, arguments: Vec<Expression> },
}

#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: Shift,
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shift {
    pub(crate) offset_ms: Option<i64>,
    pub(crate) pin: Option<Pin>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Pin {
    AtMs(i64),
    Start,
    End,
}

#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) inner: Expression,
    pub(crate) range_ms: i64,
    pub(crate) step_ms: Option<i64>,
    pub(crate) shift: Shift,
}

#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) operator: Operator,
    pub(crate) left: Expression,
    pub(crate) right: Expression,
    /// A comparison that answers 0 or 1 instead of filtering.
    pub(crate) answers_bool: bool,
    pub(crate) matching: Matching,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    And,
    Or,
    Unless,
}

impl Operator {
    pub(crate) fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterOrEqual
                | Self::LessOrEqual
        )
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Which series of two vectors belong together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    pub(crate) labels: Labelled,
    pub(crate) group: Group,
    /// Labels that `group_left` and `group_right` copy from the one side.
    pub(crate) include: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Labelled {
    On(Vec<String>),
    Ignoring(Vec<String>),
}

impl Default for Labelled {
    fn default() -> Self {
        Self::Ignoring(Vec::new())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Group {
    #[default]
    OneToOne,
    /// `group_left`: many on the left.
    Left,
    /// `group_right`: many on the right.
    Right,
}

#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) operation: Aggregation,
    pub(crate) inner: Expression,
    pub(crate) parameter: Option<Expression>,
    pub(crate) grouping: Grouping,
}

#[derive(Clone, Debug)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
}

impl Aggregation {
    const NAMES: [(&'static str, Self); 12] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("count", Self::Count),
        ("group", Self::Group),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("topk", Self::Topk),
        ("bottomk", Self::Bottomk),
        ("quantile", Self::Quantile),
        ("count_values", Self::CountValues),
    ];

    pub(crate) fn named(word: &str) -> Option<Self> {
        let (_, found) = Self::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word))?;
        Some(*found)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, of)| *of == self).map_or("", |(name, _)| name)
    }
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Range,
    Text,
}

impl Type {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Scalar => "a scalar",
            Self::Vector => "an instant vector",
            Self::Range => "a range vector",
            Self::Text => "a text",
        }
    }
}

impl Expression {
    pub(crate) fn gives(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Text(_) => Type::Text,
            Kind::Vector(_) | Kind::Aggregate(_) => Type::Vector,
            Kind::Matrix { .. } | Kind::Subquery(_) => Type::Range,
            Kind::Negate(inner) => inner.gives(),
            Kind::Binary(binary) => match (binary.left.gives(), binary.right.gives()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Kind::Call { function, .. } => function.gives,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_selector(&self) -> Option<&Selector> {
        match &self.kind {
            Kind::Vector(selector) => Some(selector),
            _ => None,
        }
    }

    fn children(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Vector(_) | Kind::Matrix { .. } => Vec::new(),
            Kind::Subquery(subquery) => vec![&subquery.inner],
            Kind::Negate(inner) => vec![inner],
            Kind::Binary(binary) => vec![&binary.left, &binary.right],
            Kind::Aggregate(aggregate) => aggregate.parameter.iter().chain([&aggregate.inner]).collect(),
            Kind::Call { arguments, .. } => arguments.iter().collect(),
        }
    }

    /// All selectors, in the order of the text.
    pub(crate) fn selectors(&self) -> Vec<&Selector> {
        let own = match &self.kind {
            Kind::Vector(selector) | Kind::Matrix { selector, .. } => Some(selector),
            _ => None,
        };
        own.into_iter().chain(self.children().into_iter().flat_map(Self::selectors)).collect()
    }
}
