//! Stage 8, serialize: a masked view as bytes, by splicing canonical leaves. The document is its own RFC 8785 form.

use crate::integrity::Hash;
use crate::mask_class::MaskClass;
use crate::name_table::{DocumentMember, NameTable};
use crate::profile::{Envelope, Profile, Section, push_hex};
use crate::scan;
use crate::schema_version::SchemaVersion;
use crate::state::UserState;
use crate::table::{LeafSet, Member};

/// Returns the whole document as a mask class sees it.
pub fn view(state: &UserState, class: MaskClass) -> Vec<u8> {
    document(&state.envelope, &state.profile_hash(), &state.profile, class)
}

/// Returns the whole document of a profile with this envelope, as a mask class sees it.
pub fn document(envelope: &Envelope, profile_hash: &Hash, profile: &Profile, class: MaskClass) -> Vec<u8> {
    document_in(class.schema().table(), envelope, profile_hash, profile, class.leaves())
}

/// Returns the whole document, with the names of a version, as viewers of these leaves see it.
pub(super) fn document_in(
    table: &NameTable,
    envelope: &Envelope,
    profile_hash: &Hash,
    profile: &Profile,
    mask: LeafSet,
) -> Vec<u8> {
    let fixed = envelope_members(table, envelope, profile_hash);
    let mut fixed = fixed.iter().filter(|(name, _)| table.has_revision || *name != "revision").peekable();
    let mut out = Vec::with_capacity(1024);
    let visible = profile.present().and(mask);
    for member in table.members(visible) {
        while let Some((name, value)) = fixed.next_if(|(name, _)| *name < member.name) {
            push_member(&mut out, name, value.as_bytes());
        }
        push_member(&mut out, member.name, b"");
        push_leaves(&mut out, table, member, profile, visible);
    }
    for (name, value) in fixed {
        push_member(&mut out, name, value.as_bytes());
    }
    out.push(b'}');
    out
}

/// Returns the members of the envelope with their values, in canonical order.
fn envelope_members(table: &NameTable, envelope: &Envelope, profile_hash: &Hash) -> [(&'static str, String); 6] {
    let mut hash = String::with_capacity(66);
    hash.push('"');
    push_hex(&mut hash, profile_hash);
    hash.push('"');
    [
        ("assembly_latency_ms", envelope.assembly_latency_ms().as_str().to_owned()),
        ("generated_at", format!("\"{}\"", crate::day::format_instant(envelope.generated_at))),
        ("profile_hash", hash),
        ("profile_id", format!("\"{}\"", envelope.profile_id)),
        ("revision", envelope.revision.to_string()),
        ("schema_version", format!("\"{}\"", table.version)),
    ]
}

/// Appends the value of a member: that of the leaf that it is, or an object of its visible leaves.
fn push_leaves(out: &mut Vec<u8>, table: &NameTable, member: &DocumentMember, profile: &Profile, visible: LeafSet) {
    // In most versions the leaves of a member are in one section of the profile.
    let mut section: Option<(Member, Option<&Section>)> = None;
    let mut open: &[u8] = b"{\"";
    for leaf in member.ordered.iter().copied().filter(|leaf| visible.has(*leaf)) {
        let of = leaf.field().member;
        let found = match section {
            Some((last, found)) if last == of => found,
            _ => profile.section(of),
        };
        section = Some((of, found));
        let (Some(name), Some(value)) = (table.name(leaf), found.and_then(|found| found.get(leaf))) else { continue };
        let value = name.projection.apply(value.as_str());
        if member.is_leaf {
            return out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(open);
        out.extend_from_slice(name.name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value.as_bytes());
        open = b",\"";
    }
    out.push(b'}');
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(if out.is_empty() { b'{' } else { b',' });
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

/// Returns the members that change with every revision, as a JSON object of a schema version.
pub fn envelope(state: &UserState, schema: SchemaVersion) -> String {
    state.envelope.changing_members(&state.profile_hash(), schema.table().has_revision)
}

/// Returns a sparse view: the envelope, the leaves of `fields` that the full view has, and `_meta`.
///
/// `view` is the bytes of a full view that [`view`] made for `class`. Only what is in them is named in `_meta`, so that a hidden,
/// an absent and an unknown name cannot be told apart. `cache_hit` is `None` for viewers who may not know it.
pub fn project(view: &[u8], class: MaskClass, fields: LeafSet, cache_hit: Option<bool>) -> Vec<u8> {
    project_in(class.schema().table(), view, fields, cache_hit)
}

/// Returns the sparse view of a view that has the names of a version.
pub(super) fn project_in(table: &NameTable, view: &[u8], fields: LeafSet, cache_hit: Option<bool>) -> Vec<u8> {
    let text = std::str::from_utf8(view).unwrap_or_default();
    let mut members = Vec::with_capacity(view.len());
    let mut included = String::new();
    let mut latency = "0";
    for (name, value) in scan::members(text) {
        match table.member(name) {
            None => {
                if name == "assembly_latency_ms" {
                    latency = value;
                }
                push_member_after_meta(&mut members, name, value);
            }
            Some(member) if member.is_leaf => {
                if !fields.and(member.leaves).is_empty() {
                    push_member_after_meta(&mut members, name, value);
                    push_included(&mut included, name, "");
                }
            }
            Some(member) => project_section(table, member, value, fields, &mut members, &mut included),
        }
    }
    let hit = cache_hit.map_or("", |hit| if hit { ",\"cache_hit\":true" } else { ",\"cache_hit\":false" });
    let mut out =
        format!("{{\"_meta\":{{\"assembly_latency_ms\":{latency}{hit},\"fields_included\":[{included}]}}").into_bytes();
    out.extend_from_slice(&members);
    out.push(b'}');
    out
}

fn project_section(
    table: &NameTable,
    member: &DocumentMember,
    value: &str,
    fields: LeafSet,
    out: &mut Vec<u8>,
    included: &mut String,
) {
    let mut open = b'{';
    let wanted = fields.and(member.leaves);
    for (name, value) in scan::members(value) {
        if wanted.iter().any(|leaf| table.name(leaf).is_some_and(|found| found.name == name)) {
            if open == b'{' {
                push_member_after_meta(out, member.name, "");
            }
            out.push(open);
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value.as_bytes());
            open = b',';
            push_included(included, member.name, name);
        }
    }
    if open == b',' {
        out.push(b'}');
    }
}

fn push_member_after_meta(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value.as_bytes());
}

fn push_included(included: &mut String, member: &str, name: &str) {
    if !included.is_empty() {
        included.push(',');
    }
    included.push('"');
    included.push_str(member);
    if !name.is_empty() {
        included.push('.');
        included.push_str(name);
    }
    included.push('"');
}

/// Returns the leaves that a `fields` parameter names: sections and dotted paths of a schema version, comma-separated.
/// Unknown names are ignored.
pub fn parse_fields(text: &str, schema: SchemaVersion) -> LeafSet {
    text.split(',').map(str::trim).fold(LeafSet::EMPTY, |set, name| set.or(schema.table().named(name)))
}
