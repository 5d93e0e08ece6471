//! Rust source without comments and literals, divided into product and tests.

use crate::tree::{self, File};
use std::collections::BTreeSet;

/// A Rust file's code.
pub(crate) struct Code {
    /// The file's path from the root.
    pub(crate) path: String,
    /// The code, with comments and the content of literals blanked.
    pub(crate) code: String,
    /// Whether the file is used only by tests, examples and benchmarks.
    pub(crate) is_test: bool,
    /// The code with its inline test modules.
    pub(crate) with_tests: String,
}

/// Returns the code of every Rust file. Inline `#[cfg(test)]` modules are removed, files of such modules are marked.
pub(crate) fn all() -> Vec<Code> {
    let files = tree::rust_files();
    let stripped: Vec<(String, String)> =
        files.into_iter().map(|File { path, text }| (path, without_comments_and_literals(&text))).collect();
    let gated: BTreeSet<String> = stripped.iter().flat_map(|(path, code)| gated_modules(path, code)).collect();
    let is_test = |path: &str| {
        path.split('/').any(|part| matches!(part, "tests" | "examples" | "benches"))
            || gated.iter().any(|module| {
                path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            })
    };
    let code = |(path, with_tests): (String, String)| Code {
        is_test: is_test(&path),
        code: without_test_modules(with_tests.clone()),
        with_tests,
        path,
    };
    stripped.into_iter().map(code).collect()
}

/// Returns whether the code contains `needle` other than as a part of a longer name.
pub(crate) fn mentions(code: &str, needle: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(needle).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + needle.len()..].chars().next();
        let starts = !needle.starts_with(part_of_name) || !before.is_some_and(part_of_name);
        let ends = !needle.ends_with(part_of_name) || !after.is_some_and(part_of_name);
        starts && ends
    })
}

const GATE: &str = "#[cfg(test)]";

/// Returns the module files declared by `#[cfg(test)] mod name;`, as paths without `.rs`.
fn gated_modules(path: &str, code: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let after_gates = code.split(GATE).skip(1).filter_map(|after| after.trim_start().split_once(';'));
    let names = after_gates.filter_map(|(item, _)| item.rsplit_once("mod ").map(|(_, name)| name.trim()));
    let names = names.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
    names.map(|name| format!("{folder}/{name}")).collect()
}

/// Removes each `#[cfg(test)] mod name { … }`.
fn without_test_modules(mut code: String) -> String {
    let mut from = 0;
    while let Some(at) = code[from..].find(GATE).map(|at| at + from) {
        let rest = &code[at..];
        let (brace, semicolon) = (rest.find('{'), rest.find(';'));
        match brace {
            Some(brace) if semicolon.is_none_or(|semicolon| brace < semicolon) => {
                let end = at + brace + matching_brace(&rest[brace..]);
                code.replace_range(at..end, "");
            }
            _ => from = at + GATE.len(),
        }
    }
    code
}

/// Returns the length of the block that starts with the text's first brace.
fn matching_brace(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Blanks comments, including nested ones, and the content of string and character literals.
pub(crate) fn without_comments_and_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, &out) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character_literal(rest) {
            quoted(rest, '\'')
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Returns the length of the raw string (`r"…"`, `br#"…"#`) that the text starts with, if any.
fn raw_string(text: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let after_r = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let body = after_r[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + length)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Distinguishes `'x'` and `'\n'` from a lifetime.
fn is_character_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

#[test]
fn comments_and_literals_are_blank_and_code_is_not() {
    let text = concat!(
        "a // b\nc /* d /* e */ f */ g \"h \\\" i\" j r#\"k \" l\"# m 'n' o '\\'' p <'q> r",
        " b\"s\" br\"t\" u\n\"v\nw\" x"
    );
    let words: Vec<String> =
        without_comments_and_literals(text).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words.join(" "), "a c g j m o p <'q> r b u x");
}

#[test]
fn a_name_is_found_only_whole() {
    assert!(mentions("use std::time::SystemTime::now;", "SystemTime::now"));
    assert!(!mentions("MySystemTime::now()", "SystemTime::now"));
    assert!(!mentions("SystemTime::nowhere()", "SystemTime::now"));
    assert!(mentions("x.unwrap()", ".unwrap"));
}

#[test]
fn test_modules_are_distinguished_from_the_product() {
    let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { if c {} } }\nfn d() {}\n#[cfg(test)]\nmod kit;\n";
    assert_eq!(without_test_modules(code.to_owned()).matches("fn ").count(), 2);
    assert_eq!(gated_modules("store/src/lib.rs", code), ["store/src/kit"]);
    assert_eq!(gated_modules("store/src/journal.rs", code), ["store/src/journal/kit"]);
}
