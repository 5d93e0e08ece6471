//! What the description of the API says of the operations of a row, besides what follows from the row itself: paths, methods, callers,
//! and the problems that come from them ([`openapi`](super::openapi)).

use super::problem::Code;
use super::request::parameter::Parameter;

/// The answers of a page for people.
const PAGE: &[Answer] = &[Answer::new(
    200,
    &[Content::new("text/html", "Text"), Content::new("text/markdown", "Text"), Content::new("text/plain", "Text")],
)];

/// Those of the page `/`.
const HOME: &[Answer] = &[Answer::new(
    200,
    &[
        Content::new("text/html", "Text"),
        Content::new("text/markdown", "Text"),
        Content::new("text/plain", "Text"),
        Content::json("AddressList"),
    ],
)];

/// What the operations of a row take and answer.
pub(super) struct Operation {
    /// The group that it belongs to.
    pub(super) tag: Tag,
    /// What there is to say about it beside the row's summary; may be empty.
    pub(super) details: &'static str,
    /// The parameters of the query.
    pub(super) query: &'static [&'static Parameter],
    /// Headers of the request that only some operations read, by their names in `components.json`.
    pub(super) headers: &'static [&'static str],
    /// The body of the request.
    pub(super) body: Option<BodyDescription>,
    /// The answers that are no problems.
    pub(super) answers: &'static [Answer],
    /// The problems of the operation itself.
    pub(super) problems: &'static [Code],
    /// Whether it validates feed events, and may answer with each of their problems.
    pub(super) has_event_problems: bool,
    /// Whether its answers have entity tags, and conditional requests are answered 304.
    pub(super) has_etag: bool,
}

impl Operation {
    /// Returns the description of an operation that takes nothing and has no problems of its own.
    pub(super) const fn new(tag: Tag, answers: &'static [Answer]) -> Self {
        Self {
            tag,
            details: "",
            query: &[],
            headers: &[],
            body: None,
            answers,
            problems: &[],
            has_event_problems: false,
            has_etag: false,
        }
    }

    /// Returns the description of a page for people.
    pub(super) const fn page(problems: &'static [Code]) -> Self {
        Self::new(Tag::Reference, PAGE).problems(problems).etag()
    }

    /// Returns the description of the page `/`.
    pub(super) const fn home() -> Self {
        Self { answers: HOME, ..Self::page(&[Code::NotAcceptable]) }
    }

    /// Adds what there is to say about it.
    pub(super) const fn details(self, details: &'static str) -> Self {
        Self { details, ..self }
    }

    /// Adds parameters of the query.
    pub(super) const fn query(self, query: &'static [&'static Parameter]) -> Self {
        Self { query, ..self }
    }

    /// Adds headers of the request.
    pub(super) const fn headers(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }

    /// Adds a body of the request.
    pub(super) const fn body(self, body: BodyDescription) -> Self {
        Self { body: Some(body), ..self }
    }

    /// Adds problems of its own.
    pub(super) const fn problems(self, problems: &'static [Code]) -> Self {
        Self { problems, ..self }
    }

    /// Adds the problems of feed events.
    pub(super) const fn event_problems(self) -> Self {
        Self { has_event_problems: true, ..self }
    }

    /// Adds entity tags.
    pub(super) const fn etag(self) -> Self {
        Self { has_etag: true, ..self }
    }
}

/// An answer that is no problem.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Its representations; none if it has no body.
    pub(super) content: &'static [Content],
    /// Headers that only some answers have, by their names in `components.json`.
    pub(super) headers: &'static [&'static str],
}

impl Answer {
    /// Returns an answer with these representations.
    pub(super) const fn new(status: u16, content: &'static [Content]) -> Self {
        Self { status, content, headers: &[] }
    }

    /// Adds headers.
    pub(super) const fn headers(self, headers: &'static [&'static str]) -> Self {
        Self { headers, ..self }
    }
}

/// A representation of a request or an answer.
pub(super) struct Content {
    pub(super) media_type: &'static str,
    /// The schema, by its name in the document.
    pub(super) schema: &'static str,
    /// Whether the schema is that of each line or event of a stream.
    pub(super) is_stream: bool,
}

impl Content {
    /// Returns a representation in JSON.
    pub(super) const fn json(schema: &'static str) -> Self {
        Self::new("application/json", schema)
    }

    /// Returns a representation.
    pub(super) const fn new(media_type: &'static str, schema: &'static str) -> Self {
        Self { media_type, schema, is_stream: false }
    }

    /// Returns a stream, whose lines or events have the schema.
    pub(super) const fn stream(media_type: &'static str, schema: &'static str) -> Self {
        Self { media_type, schema, is_stream: true }
    }
}

/// The body of a request.
pub(super) struct BodyDescription {
    /// Its representations.
    pub(super) content: &'static [Content],
    /// Its maximum size.
    pub(super) size: BodySize,
    /// Whether it may be left out.
    pub(super) is_optional: bool,
}

impl BodyDescription {
    /// Returns a body in JSON, of at most `bytes` bytes.
    pub(super) const fn new(content: &'static [Content], bytes: usize) -> Self {
        Self { content, size: BodySize::Bytes(bytes), is_optional: false }
    }

    /// Returns the same body as one that may be left out.
    pub(super) const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }
}

/// The maximum size of a body.
pub(super) enum BodySize {
    /// A number of bytes.
    Bytes(usize),
    /// What the sentence says: settings decide.
    Settings(&'static str),
}

macro_rules! tags {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $description:literal;)*) => {
        /// A group of operations.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Tag { $($(#[$doc])* $variant),* }

        impl Tag {
            /// All groups, in the order in which the description has them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the name.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns what its operations are about.
            pub(super) const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),* }
            }
        }
    };
}

tags! {
    /// Reads of profiles, and what is derived from them.
    Profiles = "Profiles", "Reads of a profile as the caller may see it, and what is derived from it.";
    /// The past of a profile.
    History = "History", "Earlier revisions, differences and snapshots. What is shown of the past is masked as the newest revision is.";
    /// What citizens decide about their data.
    Rights = "Rights of citizens", "Consent, erasure, who accessed a profile, and everything that is held.";
    /// Live changes.
    Live = "Live changes", "Changes as they happen, of one profile or of all, over WebSocket, Server-Sent Events or NDJSON.";
    /// Feed events.
    Feeds = "Feeds", "Events of the engines, from which profiles are made.";
    /// Bulk exports.
    Exports = "Bulk exports", "Anonymised data about everyone who takes part, as files.";
    /// The audit log.
    Audit = "Audit log", "What was done to whom, with proofs.";
    /// Sessions of pages.
    Sessions = "Sessions", "Sessions of pages, which cannot keep a token out of reach of scripts.";
    /// Operations of the server.
    Operations = "Operations", "What the server does, and whether it is well.";
    /// Administration.
    Administration = "Administration", "Revocations, exemptions, keys and settings.";
    /// The quarantine.
    Quarantine = "Quarantine", "Users whose stored frames could not be folded.";
    /// Backups.
    Backups = "Backups", "Backups of the data and of the keyring.";
    /// What describes the API.
    Reference = "Reference", "Schemas, problems, guides and this description.";
}
