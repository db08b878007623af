//! The layers of a topology, merged into one table for each tier.

use super::fault::{Fault, Faults};
use crate::secret::BARE;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

const ENVIRONMENT_PREFIX: &str = "ONEFOLD__";
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The names of the tables that a topology may hold.
pub type Tables<'a> = &'a [&'a str];

/// A topology as written, before any tier has read its table.
#[derive(Clone, Debug, Default)]
pub struct Document {
    tables: Table,
    path: Option<PathBuf>,
}

impl Document {
    /// Reads `path` and lays the profile (if one is named) and the process's environment over it.
    ///
    /// # Errors
    /// A [`Fault`] where the file is missing, too large or no TOML, where the profile does not exist, or where a
    /// table is not one of `known`.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn load(path: Option<&Path>, known: Tables<'_>) -> Result<Self, Faults> {
        let tables = path.map(read).transpose()?.unwrap_or_default();
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let profile = std::env::var("ONEFOLD_PROFILE").ok();
        let mut document = Self::layered(tables, profile.as_deref(), environment, known)?;
        document.path = path.map(Path::to_owned);
        Ok(document)
    }

    /// Lays the layers over each other, as [`Document::load`] does, from values.
    ///
    /// # Errors
    /// As [`Document::load`], but for those of the file.
    pub fn layered(
        mut tables: Table,
        profile: Option<&str>,
        environment: impl IntoIterator<Item = (String, String)>,
        known: Tables<'_>,
    ) -> Result<Self, Faults> {
        let profiles = tables.remove("profile");
        if let Some(name) = profile {
            merge(&mut tables, profile_table(profiles, name)?);
        }
        for (name, value) in environment {
            if let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                set(&mut tables, &path.to_lowercase().replace("__", "."), parse_value(&value), &name)?;
            }
        }
        let unknown = tables.keys().filter(|name| !known.contains(&name.as_str()));
        let faults: Vec<Fault> =
            unknown.map(|name| Fault::new(name, "unknown table", suggestion(name, known))).collect();
        Faults(faults).into_result()?;
        Ok(Self { tables, path: None })
    }

    /// Sets one key, as a command-line option does: the strongest layer.
    ///
    /// # Errors
    /// Where the path runs through a value that is no table.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<(), Faults> {
        set(&mut self.tables, key, value.into(), key)
    }

    /// Whether a layer says anything of this key.
    pub fn holds(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// What the strongest layer says of this key, as written: a secret's reference, not the secret.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let mut names = key.split('.');
        let table = names.next().and_then(|name| self.tables.get(name));
        names.fold(table, |table, name| table?.get(name))
    }

    /// The file that was read.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The tier's table, in its crate's struct.
    ///
    /// # Errors
    /// The [`Fault`] of the first key that is unknown or does not fit, with a suggestion where one is near.
    pub fn table<T: DeserializeOwned>(&self, name: &str) -> Result<T, Faults> {
        let table = self.tables.get(name).cloned().unwrap_or_else(|| Value::Table(Table::new()));
        serde_path_to_error::deserialize(table.clone()).map_err(|e| {
            let path = e.path().to_string();
            fault_of(name, &path, &e.into_inner().to_string(), &table).into()
        })
    }

    /// The whole as TOML, to be handed to another process. References to secrets stay references.
    pub fn to_toml(&self) -> String {
        self.tables.to_string()
    }
}

fn read(path: &Path) -> Result<Table, Faults> {
    let at = path.display().to_string();
    let unreadable = |e: std::io::Error| {
        Fault::new(
            &at,
            format!("cannot be read: {e}"),
            "name an existing file with --topology, or leave it out",
        )
    };
    if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(Fault::new(at, "is larger than 1 MiB", "name a topology file with --topology").into());
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.parse::<Table>().map_err(|e| {
        let line = e.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        Fault::new(format!("{at}:{line}"), e.message(), "correct the line; the format is TOML").into()
    })
}

fn profile_table(profiles: Option<Value>, name: &str) -> Result<Table, Faults> {
    let Some(Value::Table(mut profiles)) = profiles else {
        let fix = format!("add [profile.{name}.TABLE] to the topology file, or unset it");
        return Err(Fault::new("ONEFOLD_PROFILE", format!("there is no profile `{name}`"), fix).into());
    };
    if let Some(Value::Table(profile)) = profiles.remove(name) {
        return Ok(profile);
    }
    let names: Vec<&str> = profiles.keys().map(String::as_str).collect();
    let problem = format!("there is no profile `{name}`");
    Err(Fault::new("ONEFOLD_PROFILE", problem, suggestion(name, &names)).into())
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn set(tables: &mut Table, key: &str, value: Value, source: &str) -> Result<(), Faults> {
    let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
    let mut table = tables;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let entry = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or_else(|| {
            Fault::new(source, format!("`{part}` is a value, not a table"), "name a key within a table")
        })?;
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// An environment variable's text as the TOML value that it reads as, or else as a string.
fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn fault_of(table: &str, path: &str, message: &str, value: &Value) -> Fault {
    let message = message.trim().lines().next().unwrap_or("does not fit").to_owned();
    if let Some((unknown, expected)) = unknown_field(&message) {
        let prefix = path.rsplit_once('.').map_or(String::new(), |(parent, _)| format!("{parent}."));
        let key = format!("{table}.{prefix}{unknown}");
        return Fault::new(key, "unknown key", suggestion(&unknown, &expected));
    }
    let shown = path.split('.').try_fold(value, |value, part| value.get(part));
    let key = if path == "." { table.to_owned() } else { format!("{table}.{path}") };
    let problem = match shown {
        Some(_) if message.contains(BARE) => format!("*** does not fit: {message}"),
        Some(shown) => format!("{shown} does not fit: {message}"),
        None => message,
    };
    Fault::new(key, problem, "correct the value")
}

/// Takes apart serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(message: &str) -> Option<(String, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field `")?.split('`');
    let unknown = quoted.next()?.to_owned();
    Some((unknown, quoted.skip(1).step_by(2).collect()))
}

fn suggestion(word: &str, known: &[&str]) -> String {
    const NEAR: f64 = 0.7;
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("it is one of {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Database {
        replicas: u8,
        url: Option<String>,
        password: Option<crate::Secret>,
        #[serde(with = "crate::deadline::duration_text")]
        timeout: Duration,
    }

    impl Default for Database {
        fn default() -> Self {
            Self { replicas: 2, url: None, password: None, timeout: Duration::from_secs(5) }
        }
    }

    const KNOWN: Tables<'static> = &["system", "database"];

    fn document(text: &str, profile: Option<&str>, environment: &[(&str, &str)]) -> Result<Document, Faults> {
        let environment = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Document::layered(text.parse().unwrap(), profile, environment, KNOWN)
    }

    #[test]
    fn a_key_is_held_where_a_layer_names_it() {
        let document = document("[database]\nreplicas = 3\n", None, &[]).unwrap();
        assert!(document.holds("database.replicas") && document.holds("database"));
        assert!(!document.holds("database.url") && !document.holds("system.name"));
    }

    #[test]
    fn later_layers_win() {
        let text = "[database]\nreplicas = 3\nurl = 'file'\n[profile.test.database]\nreplicas = 4\n";
        let read = |profile, environment: &[_]| {
            document(text, profile, environment).unwrap().table::<Database>("database").unwrap()
        };
        assert_eq!(read(None, &[]).replicas, 3);
        assert_eq!(read(Some("test"), &[]).replicas, 4);
        let all =
            read(Some("test"), &[("ONEFOLD__DATABASE__REPLICAS", "5"), ("ONEFOLD__DATABASE__URL", "a=b")]);
        assert_eq!((all.replicas, all.url.as_deref()), (5, Some("a=b")));
        let mut document = document(text, None, &[("ONEFOLD__DATABASE__REPLICAS", "5")]).unwrap();
        document.set("database.replicas", 6).unwrap();
        assert_eq!(document.table::<Database>("database").unwrap().replicas, 6);
    }

    #[test]
    fn mistakes_name_the_key_the_value_and_the_fix() {
        let fault = |text: &str| {
            document(text, None, &[]).and_then(|d| d.table::<Database>("database")).unwrap_err().to_string()
        };
        assert_eq!(
            fault("[database]\nreplica = 2"),
            "database.replica: unknown key; did you mean `replicas`?"
        );
        assert_eq!(fault("[databse]\n"), "databse: unknown table; did you mean `database`?");
        let refused = fault("[database]\nreplicas = -1");
        assert!(refused.starts_with("database.replicas: -1 does not fit"), "{refused}");
        let refused = fault("[database]\ntimeout = '5'");
        assert!(refused.contains("database.timeout") && refused.contains("no duration"), "{refused}");
        let refused = fault("[database]\npassword = 'hunter2'");
        assert!(refused.contains("database.password") && refused.contains("env:NAME"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
        let refused = document("", Some("prod"), &[]).unwrap_err().to_string();
        assert!(refused.contains("prod"), "{refused}");
    }
}
