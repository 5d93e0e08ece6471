//! The parameters of query strings. Handlers read parameters by these declarations and by nothing else, and the row of a route
//! lists those of its handler, which the description of the API takes over.

/// A parameter of a query string.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// The name.
    pub(crate) name: &'static str,
    /// The JSON Schema of its value, as text.
    pub(crate) schema: &'static str,
    /// What it says, for the description of the API.
    pub(crate) description: &'static str,
    /// Whether it is a comma-separated list, which may be given in several parts. Any other parameter may be given once.
    pub(crate) is_list: bool,
    /// Whether a request without it is refused.
    pub(crate) is_required: bool,
}

impl Parameter {
    const fn new(name: &'static str, schema: &'static str, description: &'static str) -> Self {
        Self { name, schema, description, is_list: false, is_required: false }
    }

    const fn list(self) -> Self {
        Self { is_list: true, ..self }
    }

    const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

const TEXT: &str = r#"{"type":"string"}"#;
const NUMBER: &str = r#"{"type":"integer","minimum":0}"#;
const TIME: &str = r#"{"type":"string","format":"date-time"}"#;
const FLAG: &str = r#"{"type":"boolean","default":false}"#;
const POINT: &str = r##"{"$ref":"#/components/schemas/HistoryPoint"}"##;
const LIST: &str = r#"{"type":"array","items":{"type":"string"}}"#;

macro_rules! parameters {
    ($($(#[$doc:meta])* $constant:ident = $parameter:expr;)*) => {
        $($(#[$doc])* pub(crate) static $constant: Parameter = $parameter;)*

        /// All parameters.
        #[cfg(test)]
        pub(crate) static ALL: &[&Parameter] = &[$(&$constant),*];
    };
}

parameters! {
    /// The parts of a profile.
    FIELDS = Parameter::new(
        "fields",
        LIST,
        "Sections and fields, such as `eligibility,deadlines.upcoming`: the answer has nothing else. Names \
         that no profile has are ignored.",
    ).list();
    /// The schema version of a profile.
    SCHEMA_VERSION = Parameter::new(
        "schema_version",
        r##"{"$ref":"#/components/schemas/SchemaVersion"}"##,
        "The schema version of the answer. Version 1.0 is deprecated.",
    );
    /// An earlier revision.
    REVISION = Parameter::new("revision", NUMBER, "The profile as this revision was published.");
    /// An earlier time.
    AS_OF = Parameter::new("as_of", TIME, "The profile as it was at this time.");
    /// What is added to an answer.
    INCLUDE = Parameter::new(
        "include",
        r#"{"type":"array","items":{"const":"provenance"}}"#,
        "`provenance` adds where each value comes from, of an earlier revision where it came from when that was made.",
    ).list();
    /// The beginning of a difference to now.
    SINCE = Parameter::new("since", POINT, "Where the difference begins.").required();
    /// The beginning of a difference.
    FROM_POINT = Parameter::new("from", POINT, "Where the difference begins.").required();
    /// The end of a difference.
    TO_POINT = Parameter::new("to", POINT, "Where the difference ends. It may be the earlier point.").required();
    /// The items of a page.
    LIMIT = Parameter::new(
        "limit",
        r#"{"type":"integer","minimum":1,"maximum":200,"default":50}"#,
        "Maximum number of items of the page.",
    );
    /// Where a page begins.
    CURSOR = Parameter::new("cursor", TEXT, "`next_cursor` of the page before.");
    /// The field that is explained.
    PATH = Parameter::new(
        "path",
        r#"{"type":"string","format":"json-pointer"}"#,
        "The JSON Pointer of a field, such as `/economic/income_bracket`.",
    ).required();
    /// The days for which an erasure can be undone.
    RETAIN_DAYS = Parameter::new(
        "retain_days",
        r#"{"type":"integer","minimum":0,"maximum":30,"default":0}"#,
        "Days for which the profile is hidden and the erasure can be undone.",
    );
    /// The types of events that are followed.
    TYPES = Parameter::new(
        "types",
        r##"{"type":"array","items":{"$ref":"#/components/schemas/PublishedEventType"}}"##,
        "The types of events that are sent; all without it.",
    ).list();
    /// Where a stream of events begins.
    EVENTS_CURSOR = Parameter::new(
        "cursor",
        TEXT,
        "`oldest`, or the cursor of the last event that was received. `Last-Event-ID` takes precedence. \
         Without both the stream begins now.",
    );
    /// The ticket of a page.
    TICKET = Parameter::new("ticket", TEXT, "A ticket from `POST /api/v2/live/ticket`, in place of a token.");
    /// A session.
    SESSION_ID = Parameter::new(
        "id",
        TEXT,
        "The `id` of another session of the caller; that of the request without it.",
    );
    /// The k of an export.
    K = Parameter::new(
        "k",
        r#"{"type":"integer","minimum":5,"maximum":1000000}"#,
        "How many people are alike in all quasi-identifiers, at least. The default is that of `export.toml`.",
    );
    /// The l of an export.
    L = Parameter::new(
        "l",
        r#"{"type":"integer","minimum":1,"maximum":64}"#,
        "How many different values each sensitive column has among them, at least. The default is that of \
         `export.toml`.",
    );
    /// The categories of audit entries.
    CATEGORY = Parameter::new(
        "category",
        r#"{"type":"array","items":{"enum":["compliance","security","operations"]}}"#,
        "The categories of the entries; all without it.",
    ).list();
    /// The action of audit entries.
    ACTION = Parameter::new("action", TEXT, "The action of the entries, such as `profile.read`.");
    /// The time from which audit entries are.
    FROM_TIME = Parameter::new("from", TIME, "The time of the first entry.");
    /// The time until which audit entries are.
    UNTIL = Parameter::new("until", TIME, "The time before which the entries are.");
    /// The citizen whom audit entries are about.
    SUBJECT = Parameter::new(
        "subject",
        r##"{"$ref":"#/components/schemas/UserId"}"##,
        "The citizen whom the entries are about. For auditors; others get what is about themselves.",
    );
    /// The caller of audit entries.
    ACTOR = Parameter::new(
        "actor",
        TEXT,
        "Who did it: the `sub` of a token, a user id, `system` or `anonymous`. For auditors; others cannot \
         ask for it.",
    );
    /// A leaf of the audit log's tree.
    LEAF = Parameter::new("leaf", NUMBER, "The number of the entry in the tree.").required();
    /// A size of the audit log's tree.
    SIZE = Parameter::new("size", NUMBER, "The size of the tree.").required();
    /// The smaller size of two trees.
    FROM_SIZE = Parameter::new("from", NUMBER, "The size of the earlier tree.").required();
    /// The greater size of two trees.
    TO_SIZE = Parameter::new("to", NUMBER, "The size of the later tree.").required();
    /// The caller of an exemption.
    ALLOWLIST_CALLER = Parameter::new(
        "caller",
        TEXT,
        "The `sub` of the exempted caller. Give either this or `address`.",
    );
    /// The address of an exemption.
    ALLOWLIST_ADDRESS = Parameter::new(
        "address",
        TEXT,
        "The exempted address or network. Give either this or `caller`.",
    );
    /// The citizen who is looked for in quarantine.
    QUARANTINED_USER = Parameter::new(
        "user",
        r##"{"$ref":"#/components/schemas/UserId"}"##,
        "Only this citizen, who may not be there.",
    );
    /// What confirms that something is dropped.
    CONFIRM = Parameter::new(
        "confirm",
        TEXT,
        "The key of the path once more: what is dropped cannot be read again.",
    ).required();
    /// Whether a restore is only tried.
    DRY_RUN = Parameter::new("dry_run", FLAG, "Whether to say what would happen, and change nothing.");
    /// Whether a restore may lose something.
    ACCEPT_LOSS = Parameter::new(
        "accept_loss",
        FLAG,
        "Whether to go on although the backup is older than what is lost.",
    );
    /// The rate of a backup.
    BYTES_PER_SECOND = Parameter::new(
        "bytes_per_second",
        r#"{"type":"integer","minimum":1000000}"#,
        "Maximum rate at which the backup is read.",
    );
    /// Where a backup goes on.
    FROM_BYTE = Parameter::new("from", NUMBER, "The number of bytes that the client has.").required();
}
