//! The user that a frame or a user's record is about, at the end of its plain content, where it costs no copy to split off:
//!
//! ```text
//! offset  length  field
//!      0       n  body, in a form of the domain's
//!      n       m  user id
//!  n + m       1  m
//! ```

use domain::id::UserId;

/// Maximum number of bytes of a user at the end of a content.
pub(crate) const USER_SUFFIX_BYTES: usize = UserId::MAX_BYTES + 1;

/// Appends the user to a body. What comes before the body in `buffer` does not matter.
pub(crate) fn append_user(buffer: &mut Vec<u8>, user: &UserId) {
    let id = user.as_str().as_bytes();
    buffer.extend_from_slice(id);
    buffer.push(id.len() as u8);
}

/// Splits the user off, so that `content` is the body alone; `None` if the content does not end in a user.
pub(crate) fn split_user(content: &mut Vec<u8>) -> Option<UserId> {
    let length = usize::from(content.pop()?);
    let start = content.len().checked_sub(length)?;
    let user = UserId::parse(std::str::from_utf8(&content[start..]).ok()?).ok()?;
    content.truncate(start);
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_split_off_again_and_other_content_is_refused() {
        let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
        let mut content = b"body".to_vec();
        append_user(&mut content, &user);
        assert_eq!(content, b"bodyusr_7Qm2Xr9TzKpA\x10");
        assert_eq!((split_user(&mut content), &content[..]), (Some(user), &b"body"[..]));
        for bad in [&b""[..], b"\x01", b"usr_7Qm2Xr9TzKpA\x0f", b"usr_7Qm2Xr9Tz pA\x10"] {
            assert_eq!(split_user(&mut bad.to_vec()), None, "{bad:?}");
        }
    }
}
