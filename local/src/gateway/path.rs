//! Paths and queries as URLs encode them.

use percent_encoding::percent_decode_str;

/// The segments of a path, still encoded; `/` has none.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    (!path.is_empty()).then(|| path.split('/')).into_iter().flatten()
}

/// A segment decoded; bytes that are not UTF-8 are replaced.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The pairs of a query string, decoded, in order. A `+` is a blank.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| decode(&text.replace('+', " "));
        (decode(name), decode(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_keep_their_order() {
        let read: Vec<(String, String)> = pairs("b=1&a=%C3%A9+z&&c&d=x=y").collect();
        let expected = [("b", "1"), ("a", "é z"), ("c", ""), ("d", "x=y")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_root_has_no_segments_and_a_trailing_slash_an_empty_one() {
        assert_eq!(segments("/").count(), 0);
        assert_eq!(segments("/a/").collect::<Vec<_>>(), ["a", ""]);
        assert_eq!(segments("/a%2Fb").collect::<Vec<_>>(), ["a%2Fb"]);
    }
}
