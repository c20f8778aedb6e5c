//! The body of a PutObject, which SDKs may send in signed or unsigned chunks (`aws-chunked`).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>. The signatures of the chunks are not looked at: the
//! one of the request, which covers the first, is.

use axum::body::Bytes;

use crate::service::Call;

/// The object's bytes; `None` if the chunks end early.
pub(super) fn content(call: &Call) -> Option<Bytes> {
    let claimed = call.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !claimed.starts_with("STREAMING-") {
        return Some(call.body.clone());
    }
    let mut content = Vec::with_capacity(call.body.len());
    let mut rest = &call.body[..];
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
        if size == 0 {
            return Some(content.into());
        }
        content.extend_from_slice(rest.get(end + 2..end + 2 + size)?);
        rest = rest.get(end + 2 + size + 2..)?;
    }
}
