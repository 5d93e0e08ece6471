//! `/docs/{name}`: the guides for users of the API, which are compiled into the program.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse};

use super::Page;
use crate::http::problem::{Code, Problem};

/// The guides: name, title and text.
pub(super) const GUIDES: [(&str, &str, &str); 8] = [
    ("http", "Using the API over HTTP", include_str!("../../../docs/http.md")),
    ("feeds", "Posting feed events", include_str!("../../../docs/feeds.md")),
    ("live", "Following profiles live", include_str!("../../../docs/live.md")),
    ("events", "Following all users", include_str!("../../../docs/events.md")),
    ("exports", "Bulk exports", include_str!("../../../docs/exports.md")),
    ("limits", "Rate limits", include_str!("../../../docs/limits.md")),
    ("security", "Sensitive values", include_str!("../../../docs/security.md")),
    ("problems", "Problems", super::problems::SOURCE),
];

static PAGES: LazyLock<Vec<Page>> =
    LazyLock::new(|| GUIDES.iter().map(|(_, title, markdown)| Page::new(title, *markdown)).collect());

/// Answers with a guide. The name may end in `.md`, because the guides link to each other as files, which also works in
/// the repository.
pub(in crate::http) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let name = request.match_info().query("name");
    let name = name.strip_suffix(".md").unwrap_or(name);
    let index = GUIDES.iter().position(|(guide, ..)| *guide == name);
    let index =
        index.ok_or_else(|| Problem::new(Code::UnknownResource, "there is no guide with this name: `/` lists them"))?;
    PAGES[index].answer(request.headers())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guides_link_only_to_each_other_and_to_other_servers() {
        for (guide, _, markdown) in GUIDES {
            for target in markdown.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
                let known = GUIDES.iter().any(|(name, ..)| target == format!("{name}.md"));
                assert!(known || target.is_empty() || target.starts_with("https://"), "{guide} links to `{target}`");
            }
        }
    }
}
