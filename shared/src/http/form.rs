//! Forms as browsers send them (`application/x-www-form-urlencoded`).

use aws_lambda_events::apigw::ApiGatewayV2httpRequest as Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize as _, Zeroizing};

use super::Problem;

/// More than any form of ours has.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// The fields of a form. They may be secrets: each is zeroized on drop, and there is no `Debug`.
pub struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// Takes the form out of a request, whose body is wiped. API Gateway hands forms over as base64.
    ///
    /// # Errors
    /// 400 if the body is no form, which repeats nothing of it.
    pub fn take(request: &mut Request) -> Result<Self, Problem> {
        let body = Zeroizing::new(request.body.take().unwrap_or_default());
        request.body.zeroize();
        let malformed = || Problem::new(400, "The body is no form.");
        let bytes = match request.is_base64_encoded {
            true => Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| malformed())?),
            false => Zeroizing::new(body.as_bytes().to_vec()),
        };
        if bytes.len() > MAX_FORM_BYTES {
            return Err(malformed());
        }
        let fields = bytes.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
            let mut parts = field.splitn(2, |byte| *byte == b'=');
            let mut decoded = || decode(parts.next().unwrap_or_default());
            Some((decoded()?.to_string(), decoded()?))
        });
        fields.collect::<Option<Vec<_>>>().map(Self).ok_or_else(malformed)
    }

    /// Takes a field's value; empty if the form has none.
    pub fn take_field(&mut self, name: &str) -> Zeroizing<String> {
        match self.0.iter_mut().find(|(field, _)| field == name) {
            Some((_, value)) => std::mem::take(value),
            None => Zeroizing::default(),
        }
    }
}

/// `+` and percent signs decoded; `None` if that is no UTF-8.
fn decode(text: &[u8]) -> Option<Zeroizing<String>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                decoded.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            }
            byte => decoded.push(*byte),
        }
    }
    std::str::from_utf8(&decoded).ok().map(|text| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str, base64: bool) -> Option<(String, String)> {
        let mut request = Request::default();
        request.body = Some(if base64 { STANDARD.encode(body) } else { body.to_owned() });
        request.is_base64_encoded = base64;
        let form = Form::take(&mut request);
        assert_eq!(request.body, None);
        let mut form = form.ok()?;
        Some((form.take_field("a").to_string(), form.take_field("b").to_string()))
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it_and_its_body_is_gone() {
        let read = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        for base64 in [true, false] {
            assert_eq!(fields("a=x%2By%2F+z&b=%C3%A9", base64), read("x+y/ z", "\u{e9}"));
            assert_eq!(fields("b=1&c=2", base64), read("", "1"));
            assert_eq!(fields("a&b==", base64), read("", "="));
            assert_eq!(fields("", base64), read("", ""));
            for malformed in ["a=%2", "a=%zz", "a=%ff", &"a".repeat(MAX_FORM_BYTES + 1)] {
                assert_eq!(fields(malformed, base64), None, "{malformed}");
            }
        }
    }
}
