//! What a statement is called in a list of spans: what it does, and to which table.

/// The longest name of a table that is shown, in bytes.
const TABLE_BYTES_MAX: usize = 63;

/// `select links`, of a statement that reads from `links`. No parser: the first word, and what follows the first
/// `from`, `into`, `update` or `join`.
pub(super) fn summary(statement: &str) -> String {
    let mut words = statement.split_ascii_whitespace();
    let operation = words.next().unwrap_or_default().to_ascii_lowercase();
    let is_before_table =
        |word: &&str| ["from", "into", "update", "join"].iter().any(|known| word.eq_ignore_ascii_case(known));
    let table =
        if operation == "update" { words.next() } else { words.find(is_before_table).and(words.next()) };
    let is_in_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.' | '"');
    let table =
        table.unwrap_or_default().split(|character| !is_in_name(character)).next().unwrap_or_default();
    match &table[..table.floor_char_boundary(TABLE_BYTES_MAX)] {
        "" => operation,
        table => format!("{operation} {table}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_called_by_what_it_does_and_to_which_table() {
        for (statement, called) in [
            ("select url, expires_at\nfrom links where code = $1", "select links"),
            ("INSERT INTO public.links(code) values ($1)", "insert public.links"),
            ("update links set url = $1", "update links"),
            ("delete from clicks", "delete clicks"),
            ("with x as (select 1 from a) select * from x", "with a"),
            ("select 1", "select"),
            ("select * from (values (1)) v", "select"),
            ("commit", "commit"),
            ("", ""),
        ] {
            assert_eq!(summary(statement), called);
        }
    }
}
