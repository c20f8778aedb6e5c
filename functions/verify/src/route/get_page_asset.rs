//! `GET /connect/assets/{asset}`: style sheet, script and icon of the onboarding page.

use shared::http::{Problem, Request, Response};

use super::path_parameter;
use crate::page::Assets;

/// Answers with the file of this name, which has its digest in it.
pub(crate) fn get_page_asset(request: &Request) -> Result<Response, Problem> {
    let asset = Assets::get().find(path_parameter(request, "asset")?);
    asset.map(|asset| asset.response()).ok_or_else(|| Problem::not_found("asset"))
}
