//! YAML as a tree that knows where each node stands. Scalars stay texts, so that `for: 5m` and `code: 200` are what
//! was written; anchors and tags are refused.

use super::rules::Fault;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

/// How deep a file may nest.
const DEPTH_MAX: usize = 16;

/// Where a node begins; both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    /// A text; a plain one stands in the file letter by letter, so that places within it are known.
    Text {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Data {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Text { .. } => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// The only document of a text; `None` of an empty one.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    let mut reader = Reader { parser: Parser::new_from_str(text), depth: 0 };
    let mut root = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(root),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => {
                return Err(Fault::new(place(&span.start), "a second document: a file of rules holds one"));
            }
            event => root = Some(reader.node(event, span)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Fault::new(place(error.marker()), format!("no YAML: {}", error.info()))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Fault> {
        let place = place(&span.start);
        let fault = |problem: &str| Err(Fault::new(place, problem));
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return fault("the file nests too deep");
        }
        let data = match event {
            Event::Scalar(_, _, 1.., _)
            | Event::SequenceStart(1.., _)
            | Event::MappingStart(1.., _)
            | Event::Alias(_) => {
                return fault("anchors and aliases are not supported: write the value out");
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return fault("tags are not supported");
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain && !text.contains('\n');
                // An empty value is written as `~`.
                let text = if plain && text == "~" { String::new() } else { text.into_owned() };
                Data::Text { text, plain }
            }
            Event::SequenceStart(..) => Data::List(self.list()?),
            Event::MappingStart(..) => Data::Map(self.map()?),
            _ => return fault("a value is missing"),
        };
        self.depth -= 1;
        Ok(Node { place, data })
    }

    fn list(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Vec<(Node, Node)>, Fault> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(pairs),
                (event, span) => self.node(event, span)?,
            };
            let Data::Text { text, .. } = &key.data else {
                return Err(Fault::new(key.place, "a key is a text"));
            };
            let same = |(other, _): &&(Node, Node)| matches!(&other.data, Data::Text { text: other, .. } if other == text);
            if let Some((first, _)) = pairs.iter().find(same) {
                let problem = format!("the key {text} stands in line {} already", first.place.line);
                return Err(Fault::new(key.place, problem));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            pairs.push((key, value));
        }
    }
}
