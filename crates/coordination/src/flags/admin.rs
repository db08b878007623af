//! What people do with flags, on the command line and in the console: list, change, try, import, export.
//!
//! These ask the store itself, not the watched snapshot: they work in a process that watches nothing, and show
//! what is stored now.

use super::context::EvaluationContext;
use super::definition::{Definition, State};
use super::details::Details;
use super::document::{Document, Import};
use super::{EVALUATORS, Flags, KEYS, key};
use crate::error::Error;
use crate::store::{Compare, Entry, Operation, Position, Txn, Writer};
use crate::typed::JsonText;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// A flag, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FlagSummary {
    /// Its name.
    pub name: String,
    /// Whether it is in force; none where it is broken.
    pub state: Option<State>,
    /// Its variants, sorted.
    pub variants: Vec<String>,
    /// What is served where no rule decides.
    pub default_variant: Option<String>,
    /// Whether a rule decides for whom.
    pub targeted: bool,
    /// The revision that wrote it.
    pub revision: i64,
    /// Why it is broken, if it is: each node serves its last good version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// How often this process served a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VariantCount {
    /// The flag.
    pub flag: String,
    /// The variant.
    pub variant: String,
    /// How often, since the process started.
    pub served: u64,
}

impl Flags {
    /// All flags, sorted by name.
    pub async fn list(&self) -> Result<Vec<FlagSummary>, Error> {
        let listing = self.store.list("flag").await?;
        let evaluators = Document::stored(&listing).evaluators();
        let summary = |entry: &Entry| {
            let name = entry.key.strip_prefix(KEYS)?;
            let definition = Definition::uncounted(&entry.value, &evaluators);
            let variants = entry.value.get("variants").and_then(Json::as_object);
            let mut variants: Vec<String> =
                variants.map(|variants| variants.keys().cloned().collect()).unwrap_or_default();
            variants.sort();
            Some(FlagSummary {
                name: name.to_owned(),
                state: definition.as_ref().ok().map(Definition::state),
                variants,
                default_variant: entry.value.get("defaultVariant").and_then(Json::as_str).map(str::to_owned),
                targeted: definition.as_ref().is_ok_and(Definition::is_targeted),
                revision: entry.revision,
                fault: definition.err(),
            })
        };
        Ok(listing.entries.iter().filter_map(summary).collect())
    }

    /// One flag as it is stored.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the nearest name.
    pub async fn show(&self, name: &str) -> Result<Json, Error> {
        self.stored(name).await.map(|(flag, _)| flag)
    }

    /// Writes a flag whole, if it is good. Answers the position from which it is in force.
    ///
    /// # Errors
    /// [`Error::Invalid`], with what would be right.
    pub async fn put(&self, name: &str, flag: Json, writer: Writer) -> Result<Position, Error> {
        check_name(name)?;
        let document =
            Json::Object(Map::from_iter([("flags".to_owned(), serde_json::json!({ name: flag }))]));
        self.import(&document, Import::Merge, writer).await
    }

    /// Switches a flag on or off, and changes nothing else.
    pub async fn set_state(&self, name: &str, state: State, writer: Writer) -> Result<Position, Error> {
        let state = match state {
            State::Enabled => "ENABLED",
            State::Disabled => "DISABLED",
        };
        self.change(name, "state", state.into(), writer).await
    }

    /// Serves another variant where no rule decides, and changes nothing else.
    pub async fn set_default_variant(
        &self,
        name: &str,
        variant: &str,
        writer: Writer,
    ) -> Result<Position, Error> {
        self.change(name, "defaultVariant", variant.into(), writer).await
    }

    /// Replaces the rule that decides for whom, and changes nothing else; null removes it.
    pub async fn set_targeting(&self, name: &str, rule: Json, writer: Writer) -> Result<Position, Error> {
        self.change(name, "targeting", rule, writer).await
    }

    /// Deletes a flag: the code's default is served.
    pub async fn delete(&self, name: &str, writer: Writer) -> Result<Position, Error> {
        let (_, revision) = self.stored(name).await?;
        self.write(vec![Operation::delete(key(name))], Some((name, revision)), writer).await
    }

    /// Evaluates a flag as it is stored, for a subject; counts nothing.
    pub async fn eval(&self, name: &str, context: &EvaluationContext) -> Result<Details<Json>, Error> {
        let document = Document::stored(&self.store.list("flag").await?);
        let Some(flag) = document.flags().get(name) else {
            return Err(Error::not_found("flag", name, document.flags().keys().map(String::as_str)));
        };
        let definition = Definition::uncounted(flag, &document.evaluators())
            .map_err(|why| Error::invalid("flag", name, why))?;
        Ok(definition.evaluate(name, JsonText("null"), context, || self.clock.wall()))
    }

    /// Writes every flag and shared rule of a flagd document in one revision, if all are good.
    pub async fn import(&self, document: &Json, import: Import, writer: Writer) -> Result<Position, Error> {
        let listing = self.store.list("flag").await?;
        let stored = Document::stored(&listing);
        let operations = Document::read(document, &stored, import)?.operations(&stored, import);
        if operations.is_empty() {
            return Ok(listing.position);
        }
        self.write(operations, None, writer).await
    }

    /// All flags and shared rules as one flagd document.
    pub async fn export(&self) -> Result<Json, Error> {
        Ok(Document::stored(&self.store.list("flag").await?).write())
    }

    /// How often this process served each variant.
    pub fn counts(&self) -> Vec<VariantCount> {
        let catalog = self.compiled.catalog.load();
        let mut counts: Vec<VariantCount> = catalog
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.good.as_ref()?)))
            .flat_map(|(name, flag)| {
                flag.counts().into_iter().map(|(variant, served)| VariantCount {
                    flag: name.to_string(),
                    variant: variant.to_string(),
                    served,
                })
            })
            .collect();
        counts.sort_by(|a, b| (&a.flag, &a.variant).cmp(&(&b.flag, &b.variant)));
        counts
    }

    async fn change(&self, name: &str, field: &str, value: Json, writer: Writer) -> Result<Position, Error> {
        let (mut flag, revision) = self.stored(name).await?;
        flag[field] = value;
        let stored = Document::stored(&self.store.list(EVALUATORS).await?);
        Definition::uncounted(&flag, &stored.evaluators())
            .map_err(|why| Error::invalid("flag", name, why))?;
        self.write(vec![Operation::put(key(name), flag)], Some((name, revision)), writer).await
    }

    async fn stored(&self, name: &str) -> Result<(Json, i64), Error> {
        let listing = self.store.list(KEYS).await?;
        let key = key(name);
        if let Some(entry) = listing.entries.iter().find(|entry| *entry.key == *key) {
            return Ok(((*entry.value).clone(), entry.revision));
        }
        let names = listing.entries.iter().filter_map(|entry| entry.key.strip_prefix(KEYS));
        Err(Error::not_found("flag", name, names))
    }

    async fn write(
        &self,
        then: Vec<Operation>,
        unchanged: Option<(&str, i64)>,
        writer: Writer,
    ) -> Result<Position, Error> {
        let compare =
            unchanged.map(|(name, is)| Compare::Revision { key: key(name), is }).into_iter().collect();
        let outcome = self.store.commit(&Txn { compare, then, otherwise: vec![], writer }).await?;
        self.wakes.changed();
        match unchanged {
            Some((name, _)) if !outcome.held => Err(Error::Conflict { key: name.to_owned() }),
            _ => Ok(outcome.position),
        }
    }
}

/// A name's most bytes: enough for any flag, and a bound.
const NAME_BYTES_MAX: usize = 200;

fn check_name(name: &str) -> Result<(), Error> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(legal) {
        return Err(Error::invalid("flag", name, "a name is 1 to 200 of a-z, A-Z, 0-9, -, _, . and /"));
    }
    Ok(())
}
