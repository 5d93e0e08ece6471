//! Stage 8, serialize: a masked view as bytes, by splicing canonical leaves. The document is its own RFC 8785 form.

use crate::integrity::Hash;
use crate::mask_class::MaskClass;
use crate::profile::{Envelope, Profile, push_hex};
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
    let mask = class.leaves();
    let mut hash = String::with_capacity(66);
    hash.push('"');
    push_hex(&mut hash, profile_hash);
    hash.push('"');
    let fixed = [
        ("assembly_latency_ms", envelope.assembly_latency_ms().as_str().to_owned()),
        ("generated_at", format!("\"{}\"", crate::day::format_instant(envelope.generated_at))),
        ("profile_hash", hash),
        ("profile_id", format!("\"{}\"", envelope.profile_id)),
        ("revision", envelope.revision.to_string()),
        ("schema_version", format!("\"{}\"", class.schema().name())),
    ];
    let mut fixed = fixed.iter().peekable();
    let mut out = Vec::with_capacity(1024);
    let visible = profile.present().and(mask);
    for member in visible.members() {
        while let Some((name, value)) = fixed.next_if(|(name, _)| *name < member.name()) {
            push_member(&mut out, name, value.as_bytes());
        }
        push_member(&mut out, member.name(), b"");
        if let Some(section) = profile.section(member) {
            section.write(mask, |piece| out.extend_from_slice(piece));
        }
    }
    for (name, value) in fixed {
        push_member(&mut out, name, value.as_bytes());
    }
    out.push(b'}');
    out
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(if out.is_empty() { b'{' } else { b',' });
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

/// Returns the members that change with every revision, as a JSON object of a schema version.
pub fn envelope(state: &UserState, _schema: SchemaVersion) -> String {
    state.envelope.changing_members(&state.profile_hash())
}

/// Returns a sparse view: the envelope, the leaves of `fields` that the full view has, and `_meta`.
///
/// `view` is the bytes of a full view that [`view`] made for `class`. Only what is in them is named in `_meta`, so that a hidden,
/// an absent and an unknown name cannot be told apart. `cache_hit` is `None` for viewers who may not know it.
pub fn project(view: &[u8], _class: MaskClass, fields: LeafSet, cache_hit: Option<bool>) -> Vec<u8> {
    let text = std::str::from_utf8(view).unwrap_or_default();
    let mut members = Vec::with_capacity(view.len());
    let mut included = String::new();
    let mut latency = "0";
    for (name, value) in scan::members(text) {
        match Member::parse(name) {
            None => {
                if name == "assembly_latency_ms" {
                    latency = value;
                }
                push_member_after_meta(&mut members, name, value);
            }
            Some(member) if member.is_leaf() => {
                if !fields.and(member.leaves()).is_empty() {
                    push_member_after_meta(&mut members, name, value);
                    push_included(&mut included, name, "");
                }
            }
            Some(member) => project_section(member, value, fields, &mut members, &mut included),
        }
    }
    let hit = cache_hit.map_or("", |hit| if hit { ",\"cache_hit\":true" } else { ",\"cache_hit\":false" });
    let mut out =
        format!("{{\"_meta\":{{\"assembly_latency_ms\":{latency}{hit},\"fields_included\":[{included}]}}").into_bytes();
    out.extend_from_slice(&members);
    out.push(b'}');
    out
}

fn project_section(member: Member, value: &str, fields: LeafSet, out: &mut Vec<u8>, included: &mut String) {
    let mut open = b'{';
    let wanted = fields.and(member.leaves());
    for (name, value) in scan::members(value) {
        if wanted.iter().any(|leaf| leaf.field().name == name) {
            if open == b'{' {
                push_member_after_meta(out, member.name(), "");
            }
            out.push(open);
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value.as_bytes());
            open = b',';
            push_included(included, member.name(), name);
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
pub fn parse_fields(text: &str, _schema: SchemaVersion) -> LeafSet {
    text.split(',').map(str::trim).fold(LeafSet::EMPTY, |set, name| {
        let leaves = match Member::parse(name) {
            Some(member) => member.leaves(),
            None => crate::table::Leaf::parse(name).map_or(LeafSet::EMPTY, LeafSet::only),
        };
        set.or(leaves)
    })
}
