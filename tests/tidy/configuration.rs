//! The configuration reference is generated from the comments of `config/default.toml`.

use std::fmt::Write;

use crate::{none, tree};

const PAGE: &str = "docs/configuration.md";

const HEAD: &str = "# Configuration

Every setting, its default and its meaning. To change one, set it in `config.local.toml` in the data directory, in a file
given as `--config FILE`, in the environment, or as a flag where the command has one; the order is file, local file,
environment, flag, and the last one wins. An unknown key, a wrong type or a contradiction stops the start.
`profile-server config print` shows the values in force and where each comes from; `profile-server config check` tests them
without a start. Secrets are not listed here: they are in `.env` in the data directory or in the environment. Access
rules are not settings: they are in `config/access.toml`.

The environment variable of a setting is `PROFILE_SERVER__SECTION__KEY`, as listed in the tables.

This page is generated from `config/default.toml`: `UPDATE=1 cargo test --workspace --test tidy configuration` updates it.
";

/// A section of the settings with its introduction and a row for each key.
#[derive(Default)]
struct Section {
    name: String,
    introduction: String,
    rows: Vec<Row>,
}

struct Row {
    key: String,
    default: String,
    meaning: String,
}

fn sections(settings: &str) -> Vec<Section> {
    // The first comment describes the file itself.
    let (_, settings) = settings.split_once("\n\n").expect("a comment at the top");
    let mut sections = vec![Section::default()];
    let mut comment = Vec::new();
    for line in settings.lines() {
        let last = sections.last_mut().expect("one section at least");
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let introduction = std::mem::take(&mut comment).join(" ");
            sections.push(Section { name: name.to_owned(), introduction, rows: Vec::new() });
        } else if let Some((key, default)) = line.split_once(" = ") {
            let meaning = std::mem::take(&mut comment).join(" ");
            last.rows.push(Row { key: key.to_owned(), default: default.to_owned(), meaning });
        }
    }
    sections
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for Section { name, introduction, rows } in sections(config::DEFAULT_TOML) {
        let title = if name.is_empty() { "General".to_owned() } else { format!("`[{name}]`") };
        let _ = write!(page, "\n## {title}\n\n");
        if !introduction.is_empty() {
            let _ = write!(page, "{introduction}\n\n");
        }
        page.push_str("| key | default | meaning | environment variable |\n|---|---|---|---|\n");
        let mut above = "";
        for Row { key, default, meaning } in &rows {
            let prefix = if name.is_empty() { String::new() } else { format!("{name}__") };
            let variable = format!("PROFILE_SERVER__{prefix}{key}").to_uppercase();
            // A key without a comment shares that of the key above it.
            let text = if meaning.is_empty() && !above.is_empty() { "See the row above." } else { meaning };
            let _ = writeln!(page, "| `{key}` | `{default}` | {} | `{variable}` |", text.replace('|', "\\|"));
            above = if meaning.is_empty() { above } else { meaning };
        }
    }
    page
}

#[test]
fn the_page_of_settings_is_the_one_that_the_default_file_gives() {
    let (path, page) = (tree::root().join(PAGE), page());
    if config::process_environment().iter().any(|(name, _)| name == "UPDATE") {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{PAGE} is out of date: run `UPDATE=1 cargo test --workspace --test tidy configuration`");
}

#[test]
fn every_key_of_the_default_file_is_on_the_page() {
    let page = page();
    let is_key = |line: &&str| line.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    let keys: Vec<_> = config::DEFAULT_TOML.lines().filter(is_key).filter_map(|line| line.split_once(" = ")).collect();
    assert!(keys.len() > 60, "only {} settings were found", keys.len());
    let is_missing = |key: &str, default: &str| !page.contains(&format!("| `{key}` | `{default}` |"));
    none(keys.iter().filter(|(key, default)| is_missing(key, default)).map(|(key, _)| format!("`{key}`")).collect());
}
