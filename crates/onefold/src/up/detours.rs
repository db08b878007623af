//! The topology of one node, where others stand for the true addresses: what it reaches leads through the fault proxy.

use super::effective::Effective;
use crate::cli::Failure;
use onefold_core::NodeName;
use onefold_core::process::Host;
use onefold_supervisor::State;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Value;

/// For each true address the one that stands in its place.
pub(super) type Detours = BTreeMap<SocketAddr, SocketAddr>;

/// Writes the topology of a node; the keys are those that may hold addresses, or references to files that hold some.
pub(super) fn write(
    effective: &Effective,
    keys: &[&'static str],
    (node, detours): (&NodeName, &Detours),
    (state, host): (&State, &dyn Host),
) -> Result<PathBuf, Failure> {
    let mut document = effective.topology.document.clone();
    let secrets = state.secrets();
    for key in keys {
        let Some(mut value) = document.get(key).cloned() else { continue };
        Rewrite { node, detours, secrets: &secrets, host }.value(&mut value)?;
        document.set(key, value)?;
    }
    let path = state.run().join(format!("{node}.topology.toml"));
    host.write(&path, &document.to_toml(), None)?;
    Ok(path)
}

struct Rewrite<'a> {
    node: &'a NodeName,
    detours: &'a Detours,
    secrets: &'a Path,
    host: &'a dyn Host,
}

impl Rewrite<'_> {
    fn value(&self, value: &mut Value) -> Result<(), Failure> {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.value(item)),
            Value::Table(fields) => fields.iter_mut().try_for_each(|(_, field)| self.value(field)),
            _ => Ok(()),
        }
    }

    /// A secret stands in a file: its copy for this node stands in another one.
    fn text(&self, text: &mut String) -> Result<(), Failure> {
        let Some(path) = text.strip_prefix("file:").map(PathBuf::from) else {
            *text = redirected(text, self.detours);
            return Ok(());
        };
        let Ok(secret) = std::fs::read_to_string(&path) else { return Ok(()) };
        let changed = redirected(&secret, self.detours);
        if changed != secret {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let copy = self.secrets.join(format!("{}.{name}", self.node));
            self.host.write(&copy, &changed, None)?;
            *text = format!("file:{}", copy.display());
        }
        Ok(())
    }
}

/// A text with all addresses replaced, each once.
fn redirected(text: &str, detours: &Detours) -> String {
    let mut changed = String::with_capacity(text.len());
    let mut rest = text;
    'text: while !rest.is_empty() {
        for (from, to) in detours {
            let after = rest.strip_prefix(&from.to_string());
            // 127.0.0.1:80 is no part of 127.0.0.1:8080.
            if let Some(after) = after.filter(|after| !after.starts_with(|next: char| next.is_ascii_digit()))
            {
                changed.push_str(&to.to_string());
                rest = after;
                continue 'text;
            }
        }
        let mut characters = rest.chars();
        changed.extend(characters.next());
        rest = characters.as_str();
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_replaced_once_and_none_is_mistaken() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let detours = Detours::from([(address(80), address(90)), (address(90), address(80))]);
        let text = "http://127.0.0.1:80,postgres://u:p@127.0.0.1:90/db?x=127.0.0.1:8080";
        let changed = "http://127.0.0.1:90,postgres://u:p@127.0.0.1:80/db?x=127.0.0.1:8080";
        assert_eq!(redirected(text, &detours), changed);
        assert_eq!(redirected("ü 127.0.0.1:", &detours), "ü 127.0.0.1:");
    }
}
