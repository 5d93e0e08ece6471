//! `/problems/{code}`: what a problem means, at the address that is its `type`.
//!
//! The source is `docs/problems.md`, with a section for each code that begins with the status and the title.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse};

use super::Page;
use crate::http::problem::{Code, Problem};

/// The text of all pages.
pub(super) const SOURCE: &str = include_str!("../../../docs/problems.md");

static PAGES: LazyLock<HashMap<&str, Page>> = LazyLock::new(|| {
    let page = |(code, text): (&'static str, &str)| {
        (code, Page::new(&format!("Problem: {code}"), format!("# {code}\n\n{}\n", text.trim())))
    };
    sections().map(page).collect()
});

/// Returns the code and the text of each section of the source.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    SOURCE.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'))
}

/// Answers with the list of all codes, which link to their pages.
pub(in crate::http) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static PAGE: LazyLock<Page> = LazyLock::new(|| {
        let introduction = SOURCE.split("\n## ").next().unwrap_or_default();
        let first_line = |text: &'static str| text.trim().lines().next().unwrap_or_default();
        let links = sections().map(|(code, text)| format!("- [`{code}`](/problems/{code}): {}\n", first_line(text)));
        Page::new("Problems", format!("{introduction}\n{}", links.collect::<String>()))
    });
    PAGE.answer(request.headers())
}

/// Answers with the page of one code.
pub(in crate::http) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let page = PAGES.get(request.match_info().query("code"));
    page.ok_or_else(|| {
        Problem::new(Code::UnknownResource, "there is no problem with this name: `/problems` lists them")
    })?
    .answer(request.headers())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    /// Every code that an answer can carry, with status and title.
    fn codes() -> BTreeMap<&'static str, (u16, &'static str)> {
        let of_http = Code::ALL.iter().map(|code| (code.name(), (code.status().as_u16(), code.title())));
        let of_events = domain::event::EventProblem::ALL.iter();
        of_http.chain(of_events.map(|problem| (problem.name(), (problem.status(), problem.title())))).collect()
    }

    #[test]
    fn every_code_has_its_section_with_a_meaning_a_remedy_and_an_example() {
        let texts: BTreeMap<_, _> = sections().collect();
        assert_eq!(texts.keys().collect::<Vec<_>>(), codes().keys().collect::<Vec<_>>());
        for (code, (status, title)) in codes() {
            let text = texts[code];
            let mut paragraphs = text.trim().split("\n\n");
            assert_eq!(paragraphs.next(), Some(&*format!("**{status}**: {title}.")), "{code}");
            let [meaning, remedy] = [paragraphs.next(), paragraphs.next()].map(Option::unwrap_or_default);
            assert!(meaning.len() > 30 && remedy.starts_with("**What to do:** "), "{code}");
            let example = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
            let example: Value = serde_json::from_str(example).unwrap_or_else(|error| panic!("{code}: {error}"));
            let named = ["type", "title", "status"].map(|member| &example[member]);
            assert_eq!(named, [&json!(format!("/problems/{code}")), &json!(title), &json!(status)], "{code}");
            assert!(example["detail"].is_string() && (status != 422) | example["errors"][0]["pointer"].is_string());
        }
    }

    #[test]
    fn sections_are_in_the_order_of_the_alphabet() {
        assert!(sections().is_sorted_by_key(|(code, _)| code));
    }
}
