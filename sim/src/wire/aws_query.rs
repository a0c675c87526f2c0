//! awsQuery, as STS, Auto Scaling, Elastic Load Balancing and CloudWatch speak it: `<ActionResponse><ActionResult>…`.

use super::xml::Xml;
use super::{ApiError, Reply, Service};

const CONTENT_TYPE: &str = "text/xml";

fn namespace(service: Service) -> &'static str {
    match service {
        Service::AutoScaling => "http://autoscaling.amazonaws.com/doc/2011-01-01/",
        Service::LoadBalancing => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        Service::CloudWatch => "http://monitoring.amazonaws.com/doc/2010-08-01/",
        _ => "https://sts.amazonaws.com/doc/2011-06-15/",
    }
}

/// Writes the answer to an action.
pub(crate) fn ok(service: Service, (action, request_id): (&str, &str), fill: impl FnOnce(&mut Xml)) -> Reply {
    let body = Xml::document(&format!("{action}Response"), namespace(service), |xml| {
        xml.element(&format!("{action}Result"), fill);
        metadata(xml, request_id);
    });
    Reply::new(200, CONTENT_TYPE, body)
}

/// Writes the answer to an action that has no result.
pub(crate) fn done(service: Service, (action, request_id): (&str, &str)) -> Reply {
    let body = Xml::document(&format!("{action}Response"), namespace(service), |xml| {
        metadata(xml, request_id);
    });
    Reply::new(200, CONTENT_TYPE, body)
}

fn metadata(xml: &mut Xml, request_id: &str) {
    xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
}

/// Writes an error.
pub(crate) fn error(service: Service, error: &ApiError, request_id: &str) -> Reply {
    let body = Xml::document("ErrorResponse", namespace(service), |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
            xml.text("Code", &error.code);
            xml.text("Message", error.message.as_deref().unwrap_or_default());
        });
        xml.text("RequestId", request_id);
    });
    Reply::new(error.status, CONTENT_TYPE, body)
}
