//! Conditional requests: entity tags of profiles, `If-None-Match` and `If-Match`.

use std::fmt::{self, Display};
use std::io::Write;

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actors::reading::ContentCoding;
use bytes::Bytes;
use domain::mask_class::MaskClass;
use domain::splitmix64;
use domain::table::LeafSet;

use super::headers::entity_tag::{Comparison, lists};

/// What distinguishes the views of one revision of a profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Representation {
    /// The caller's mask class.
    pub(crate) class: MaskClass,
    /// The sparse fieldset that was requested; `None` for all fields.
    pub(crate) fields: Option<LeafSet>,
    /// The erasure generation of the profile.
    pub(crate) generation: u32,
    /// The content coding; `None` for the document itself.
    pub(crate) coding: Option<ContentCoding>,
}

impl Representation {
    /// Returns a short hash, which is the same for all callers with the same view.
    fn suffix(self) -> u32 {
        let form = u64::from(self.generation) | u64::from(self.class.form()) << 32;
        let (form, fields) = self.fields.map_or((form, 0), |fields| (form | 1 << 48, fields.numbers()));
        let form = form | self.coding.map_or(0, |coding| (coding as u64) << 49);
        let words = [self.class.numbers(), fields, form];
        let mixed = words.iter().fold(0_u64, |state, word| splitmix64::next(&mut (state ^ word)));
        (mixed >> 32) as u32
    }
}

/// The entity tag of a view, such as `"e1-r42-x7"`: the store's epoch, the revision and a hash of the view. It
/// is weak if responses of the same view may differ in their bytes, as those with `cache_hit` do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntityTag {
    epoch: u64,
    revision: u64,
    suffix: u32,
    is_weak: bool,
}

impl EntityTag {
    /// Returns the tag of a view.
    pub(crate) fn new(epoch: u64, revision: u64, view: Representation, is_weak: bool) -> Self {
        Self { epoch, revision, suffix: view.suffix(), is_weak }
    }

    /// Returns what stands before the quotes: `W/` if the tag is weak.
    pub(crate) fn prefix(self) -> &'static str {
        if self.is_weak { "W/" } else { "" }
    }

    /// Returns what stands between the quotes.
    pub(crate) fn opaque(self) -> impl Display {
        fmt::from_fn(move |out| write!(out, "e{}-r{}-x{:x}", self.epoch, self.revision, self.suffix))
    }

    /// Returns the tag as the value of a header.
    pub(crate) fn header(self) -> HeaderValue {
        let mut text = Vec::with_capacity(40);
        // Writing into a vector cannot fail.
        let _ = write!(text, "{}\"{}\"", self.prefix(), self.opaque());
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

/// Whether the caller has the representation `etag` already (RFC 9110, section 13.1.2).
pub(crate) fn not_modified(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    lists(headers, &header::IF_NONE_MATCH, Some(etag), Comparison::Weak) == Some(true)
}

/// Whether the answer to a read must become a 412 because `If-Match` lists only other representations. `If-Match` comes
/// before `If-None-Match` (RFC 9110, section 13.2.2), and after errors (section 13.2.1).
pub(crate) fn precondition_failed(answer: &ServiceResponse) -> bool {
    let (request, status) = (answer.request(), answer.status());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    is_read
        && (status.is_success() || status == StatusCode::NOT_MODIFIED)
        && lists(request.headers(), &header::IF_MATCH, answer.headers().get(header::ETAG), Comparison::Strong)
            == Some(false)
}

#[cfg(test)]
mod tests {
    use domain::table::Leaf;

    use super::*;

    fn etag(epoch: u64, revision: u64, view: Representation, is_weak: bool) -> HeaderValue {
        EntityTag::new(epoch, revision, view, is_weak).header()
    }

    const VIEW: Representation =
        Representation { class: MaskClass::for_profile(LeafSet::ALL), fields: None, generation: 1, coding: None };

    #[test]
    fn a_tag_names_epoch_revision_and_view() {
        let tag = etag(1, 42, VIEW, false);
        assert!(tag.to_str().expect("ASCII").starts_with("\"e1-r42-x"));
        for other in [
            Representation { class: MaskClass::for_profile(LeafSet::EMPTY), ..VIEW },
            Representation { fields: Some(LeafSet::EMPTY), ..VIEW },
            Representation { fields: Some(LeafSet::only(Leaf::CohortTags)), ..VIEW },
            Representation { generation: 2, ..VIEW },
            Representation { coding: Some(ContentCoding::Zstd), ..VIEW },
            Representation { coding: Some(ContentCoding::Gzip), ..VIEW },
        ] {
            assert_ne!(etag(1, 42, other, false), tag);
        }
        assert!(etag(1, 42, VIEW, true).to_str().expect("ASCII").starts_with("W/\"e1-r42-x"));
    }

    /// Clients hold the tags of earlier releases.
    #[test]
    fn the_tag_of_a_view_is_that_of_the_first_release() {
        let leaves = [Leaf::CohortTags, Leaf::DemographicsState, Leaf::EconomicIncomeBracket];
        let class = MaskClass::for_profile(leaves.into_iter().collect());
        let sparse = Some(LeafSet::only(Leaf::EconomicIncomeBracket));
        for (fields, expected) in [(None, "\"e1-r42-x67766bb2\""), (sparse, "\"e1-r42-xa83ed4e1\"")] {
            assert_eq!(etag(1, 42, Representation { class, fields, generation: 1, coding: None }, false), expected);
        }
    }

    #[test]
    fn one_matching_tag_of_the_list_suffices() {
        let tag = etag(1, 42, VIEW, false);
        let asked = |value: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(&value).expect("a header"));
            not_modified(&headers, &tag)
        };
        let text = tag.to_str().expect("ASCII");
        assert!(asked("*".to_owned()) && asked(text.to_owned()) && asked(format!("\"a\", W/{text}")));
        assert!(!asked("\"e1-r41-x0\"".to_owned()) && !not_modified(&HeaderMap::new(), &tag));
        assert!(!asked("\"x,*,y\"".to_owned()), "`*` counts only as the whole value");
    }
}
