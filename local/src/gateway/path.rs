//! Decodes the paths and query strings of URLs.

use percent_encoding::percent_decode_str;

/// The segments of a path, still encoded; `/` has none.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    (!path.is_empty()).then(|| path.split('/')).into_iter().flatten()
}

/// A decoded segment. Bytes that are not UTF-8 are replaced.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The pairs of a query string, decoded and in their order. A `+` is a space.
pub(super) fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
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
    fn query_pairs_are_decoded_and_keep_their_order() {
        let decoded: Vec<(String, String)> = query_pairs("b=1&a=%C3%A9+z&&c&d=x=y").collect();
        let expected = [("b", "1"), ("a", "é z"), ("c", ""), ("d", "x=y")];
        assert_eq!(decoded, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_root_has_no_segments_and_a_trailing_slash_adds_an_empty_one() {
        assert_eq!(segments("/").count(), 0);
        assert_eq!(segments("/a/").collect::<Vec<_>>(), ["a", ""]);
        assert_eq!(segments("/a%2Fb").collect::<Vec<_>>(), ["a%2Fb"]);
    }
}
