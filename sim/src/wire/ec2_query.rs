//! ec2Query: the form in, `<ActionResponse>` out.

use super::xml::Xml;
use super::{ApiError, Reply};

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";
const CONTENT_TYPE: &str = "text/xml;charset=UTF-8";

/// Writes the answer to an action.
pub(crate) fn ok(action: &str, request_id: &str, fill: impl FnOnce(&mut Xml)) -> Reply {
    let body = Xml::document(&format!("{action}Response"), NAMESPACE, |xml| {
        xml.text("requestId", request_id);
        fill(xml);
    });
    Reply::new(200, CONTENT_TYPE, body)
}

/// Writes an error.
pub(crate) fn error(error: &ApiError, request_id: &str) -> Reply {
    let body = Xml::document("Response", "", |xml| {
        xml.element("Errors", |xml| {
            xml.element("Error", |xml| {
                xml.text("Code", &error.code);
                xml.text("Message", error.message.as_deref().unwrap_or_default());
            });
        });
        xml.text("RequestID", request_id);
    });
    Reply::new(error.status, CONTENT_TYPE, body)
}
