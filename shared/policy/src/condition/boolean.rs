//! Booleans as condition values are written.

/// Whether the text is `true` or `false`, in any case.
pub(super) fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}
