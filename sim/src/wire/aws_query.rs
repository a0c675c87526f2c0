//! awsQuery, as STS speaks it: `<ActionResponse><ActionResult>…`.

use super::xml::Xml;
use super::{ApiError, Reply};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const CONTENT_TYPE: &str = "text/xml";

/// Writes the answer to an action.
pub(crate) fn ok(action: &str, request_id: &str, fill: impl FnOnce(&mut Xml)) -> Reply {
    let body = Xml::document(&format!("{action}Response"), NAMESPACE, |xml| {
        xml.element(&format!("{action}Result"), fill);
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    Reply { status: 200, content_type: CONTENT_TYPE, body }
}

/// Writes an error.
pub(crate) fn error(error: &ApiError, request_id: &str) -> Reply {
    let body = Xml::document("ErrorResponse", NAMESPACE, |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            xml.text("Code", &error.code);
            xml.text("Message", error.message.as_deref().unwrap_or_default());
        });
        xml.text("RequestId", request_id);
    });
    Reply { status: error.status, content_type: CONTENT_TYPE, body }
}
