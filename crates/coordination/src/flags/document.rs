//! A whole flagd document: what is imported and exported.

use super::definition::Definition;
use super::evaluators::Evaluators;
use super::{EVALUATORS, KEYS, METADATA};
use crate::error::Error;
use crate::store::{Listing, Operation};
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// What an import does with the flags that the document does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Import {
    /// They stay.
    Merge,
    /// They are deleted.
    Replace,
}

/// flagd's document, taken apart. Keys which this build does not know are refused: they would be lost.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    flags: Map<String, Json>,
    evaluators: Map<String, Json>,
    metadata: Option<Json>,
}

impl Document {
    /// Takes a document apart and checks every flag: all are good, or none is imported.
    pub(super) fn read(document: &Json, stored: &Self, import: Import) -> Result<Self, Error> {
        let invalid = |problem: String| Error::invalid("flag document", "flags", problem);
        let Json::Object(fields) = document else {
            return Err(invalid("it is no object: flagd's format is {\"flags\": {…}}".into()));
        };
        let mut read = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("flags", Json::Object(flags)) => read.flags.clone_from(flags),
                ("$evaluators", Json::Object(evaluators)) => read.evaluators.clone_from(evaluators),
                ("metadata", metadata) => read.metadata = Some(metadata.clone()),
                ("$schema", _) => {}
                ("flags" | "$evaluators", _) => return Err(invalid(format!("`{name}` is no object"))),
                _ => return Err(invalid(format!("`{name}` is no part of flagd's format"))),
            }
        }
        if import == Import::Merge {
            read.check_with(stored)?;
        } else {
            read.check_with(&Self::default())?;
        }
        Ok(read)
    }

    /// What is stored, put together.
    pub(super) fn stored(listing: &Listing) -> Self {
        let mut document = Self::default();
        for entry in &listing.entries {
            let value = (*entry.value).clone();
            if let Some(name) = entry.key.strip_prefix(KEYS) {
                document.flags.insert(name.to_owned(), value);
            } else if let Some(name) = entry.key.strip_prefix(EVALUATORS) {
                document.evaluators.insert(name.to_owned(), value);
            } else if &*entry.key == METADATA {
                document.metadata = Some(value);
            }
        }
        document
    }

    /// The same as flagd reads it.
    pub(super) fn write(self) -> Json {
        let mut fields = Map::new();
        fields.insert("$schema".into(), "https://flagd.dev/schema/v0/flags.json".into());
        fields.insert("flags".into(), Json::Object(self.flags));
        if !self.evaluators.is_empty() {
            fields.insert("$evaluators".into(), Json::Object(self.evaluators));
        }
        if let Some(metadata) = self.metadata {
            fields.insert("metadata".into(), metadata);
        }
        Json::Object(fields)
    }

    /// The steps that make the store hold this document.
    pub(super) fn operations(self, stored: &Self, import: Import) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (prefix, now, before) in
            [(EVALUATORS, &self.evaluators, &stored.evaluators), (KEYS, &self.flags, &stored.flags)]
        {
            let changed = now.iter().filter(|(name, value)| before.get(*name) != Some(value));
            operations.extend(
                changed.map(|(name, value)| Operation::put(format!("{prefix}{name}"), value.clone())),
            );
            if import == Import::Replace {
                let gone = before.keys().filter(|name| !now.contains_key(*name));
                operations.extend(gone.map(|name| Operation::delete(format!("{prefix}{name}"))));
            }
        }
        match self.metadata {
            Some(metadata) if stored.metadata.as_ref() != Some(&metadata) => {
                operations.push(Operation::put(METADATA, metadata));
            }
            None if import == Import::Replace && stored.metadata.is_some() => {
                operations.push(Operation::delete(METADATA));
            }
            _ => {}
        }
        operations
    }

    pub(super) fn flags(&self) -> &Map<String, Json> {
        &self.flags
    }

    pub(super) fn evaluators(&self) -> Evaluators {
        Evaluators(self.evaluators.clone())
    }

    fn check_with(&self, stored: &Self) -> Result<(), Error> {
        let mut evaluators = stored.evaluators.clone();
        evaluators.extend(self.evaluators.clone());
        let evaluators = Evaluators(evaluators);
        // A shared rule that changes must not break a flag which is stored already.
        let affected = stored.flags.iter().filter(|(name, _)| !self.flags.contains_key(*name));
        let affected = affected.filter(|_| !self.evaluators.is_empty());
        for (name, flag) in self.flags.iter().chain(affected) {
            Definition::uncounted(flag, &evaluators).map_err(|why| Error::invalid("flag", name, why))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flag(targeting: &Json) -> Json {
        json!({"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on", "targeting": targeting})
    }

    fn read(document: &Json) -> Result<Document, Error> {
        Document::read(document, &Document::default(), Import::Replace)
    }

    #[test]
    fn a_document_is_exported_as_it_was_imported() {
        let document = json!({
            "$schema": "https://flagd.dev/schema/v0/flags.json",
            "flags": {"a": flag(&json!({"if": [{"$ref": "ours"}, "on"]}))},
            "$evaluators": {"ours": {"ends_with": [{"var": "email"}, "@ours.example"]}},
            "metadata": {"version": "7"},
        });
        assert_eq!(read(&document).unwrap().write(), document);
    }

    #[test]
    fn one_bad_flag_refuses_the_whole_document_and_is_named() {
        let document = json!({"flags": {"good": flag(&json!({})), "bad": flag(&json!({"$ref": "nowhere"}))}});
        assert_eq!(read(&document).unwrap_err().to_string(), "flag `bad`: there is no evaluator `nowhere`");
        let error = read(&json!({"flags": {}, "flag": {}})).unwrap_err().to_string();
        assert!(error.contains("`flag` is no part of flagd's format"), "{error}");
    }

    #[test]
    fn an_import_writes_only_what_changes() {
        let before = read(&json!({"flags": {"a": flag(&json!({})), "b": flag(&json!({}))}})).unwrap();
        let document = json!({"flags": {"a": flag(&json!({})), "c": flag(&json!({}))}});
        let merged = read(&document).unwrap().operations(&before, Import::Merge);
        assert_eq!(merged, [Operation::put("flags/c", flag(&json!({})))]);
        let replaced = read(&document).unwrap().operations(&before, Import::Replace);
        assert_eq!(replaced, [Operation::put("flags/c", flag(&json!({}))), Operation::delete("flags/b")]);
    }
}
