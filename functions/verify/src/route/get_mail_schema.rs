//! `GET /mails/schema`: what a mail is, as a JSON Schema.

use aws_lambda_events::encodings::Body;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use shared::http::{Problem, QueryParameters, Request, Response};

/// Answers with the schema that this version of `send` is checked against (`shared::mail::SCHEMA`).
pub(crate) fn get_mail_schema(request: &Request) -> Result<Response, Problem> {
    QueryParameters::from_request(request, &[])?;
    let mut response = Response::default();
    response.status_code = 200;
    // https://json-schema.org/draft/2020-12/json-schema-core, section 14
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/schema+json"));
    response.body = Some(Body::Text(shared::mail::SCHEMA.to_owned()));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_answered_as_it_is() {
        let request: Request =
            serde_json::from_str(include_str!("../../../../events/verify-get-mail-schema.json")).unwrap();
        let Ok(response) = get_mail_schema(&request) else { panic!("refused") };
        let Some(Body::Text(text)) = response.body else { panic!("no text") };
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(response.headers[CONTENT_TYPE], "application/schema+json");
        let mut request = request;
        request.query_string_parameters =
            [("version".to_owned(), "1".to_owned())].into_iter().collect::<std::collections::HashMap<_, _>>().into();
        assert!(get_mail_schema(&request).is_err());
    }
}
