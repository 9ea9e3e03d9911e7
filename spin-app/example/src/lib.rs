//! An application that knows nothing of policies: whatever it is asked, it tells of a customer, in JSON. What it was asked
//! with is in the headers of its answer, so that tests see what reached it.

use wasip3::{
    exports::http::handler::Guest,
    http::types::{ErrorCode, Fields, Method, Request, Response},
    wit_bindgen::spawn,
    wit_future, wit_stream,
};

/// What it tells.
const CUSTOMER: &str = r#"{"name":"Ada Lovelace","card":"4111111111111111","visits":[1,2,3]}"#;

/// The application.
#[derive(Debug, Clone, Copy)]
pub struct Example;

impl Guest for Example {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let echoes = matches!(request.get_method(), Method::Post);
        let content_type = (String::from("content-type"), Vec::from("application/json"));
        let path = request.get_path_with_query().unwrap_or_default();
        let seen = (String::from("x-example-saw"), path.into_bytes());
        let headers = Fields::from_list(&[content_type, seen])
            .map_err(|_| ErrorCode::InternalError(Some("bad headers".to_owned())))?;
        if echoes {
            let (done, result) = wit_future::new(|| Ok(()));
            drop(done);
            let (body, trailers) = Request::consume_body(request, result);
            let (response, _) = Response::new(headers, Some(body), trailers);
            return Ok(response);
        }
        let (mut writer, body) = wit_stream::new();
        let (end, trailers) = wit_future::new(|| Ok(None));
        drop(end);
        let (response, _) = Response::new(headers, Some(body), trailers);
        spawn(async move {
            writer.write_all(CUSTOMER.as_bytes().to_vec()).await;
        });
        Ok(response)
    }
}

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, reason = "the functions that the host calls")]
    use super::Example;
    wasip3::http::service::export!(Example with_types_in wasip3);
}
