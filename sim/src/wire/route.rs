//! Which service, protocol and operation a request means: by its path, its headers, its form and its signature.

use super::auth::Scope;
use super::form::Form;
use super::{Protocol, Service, rest_json, rest_xml, rpc_cbor};
use std::collections::BTreeMap;

/// A request as it came in.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    /// Not decoded.
    pub(crate) path: String,
    pub(crate) query: String,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Where it came in: `http://127.0.0.1:4566`.
    pub(crate) endpoint: String,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What a request means.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) service: Service,
    pub(crate) protocol: Protocol,
    pub(crate) api: String,
    /// The form of a query protocol; the query of a REST protocol.
    pub(crate) form: Form,
}

const TARGETS: [(&str, Service); 6] = [
    ("AmazonSSM.", Service::Ssm),
    ("GraniteServiceVersion20100801.", Service::CloudWatch),
    ("Logs_20140328.", Service::Logs),
    ("TrentService.", Service::Kms),
    ("AWSOrganizationsV20161128.", Service::Organizations),
    ("EC2WindowsMessageDeliveryService.", Service::Messages),
];

/// Finds out what a request means.
pub(crate) fn route(incoming: &Incoming, scope: Option<&Scope>) -> Route {
    let signed_for = scope.map(|scope| scope.service.as_str());
    let none = Form::default;
    if let Some((_, operation)) = rpc_cbor::operation(&incoming.path) {
        return made(Service::CloudWatch, Protocol::Cbor, operation, none());
    }
    let target = incoming.header("x-amz-target").unwrap_or_default();
    if let Some((service, api)) =
        TARGETS.iter().find_map(|(prefix, service)| Some((*service, target.strip_prefix(prefix)?)))
    {
        return made(service, Protocol::Json, api, none());
    }
    if let Some(api) = rest_json::operation(&incoming.path).filter(|_| signed_for != Some("s3")) {
        return made(Service::ResourceGroups, Protocol::RestJson, api, Form::parse(&incoming.query));
    }
    let query = Form::parse(&incoming.query);
    let is_form = query.get("Action").is_some() || incoming.method == "POST";
    if signed_for == Some("s3") || (signed_for.is_none() && !is_form) {
        let place = rest_xml::place(incoming.header("host").unwrap_or_default(), &incoming.path);
        let api = rest_xml::operation(&incoming.method, &place, &query);
        return made(Service::S3, Protocol::RestXml, api, query);
    }
    if signed_for == Some("ssm") {
        return made(Service::Ssm, Protocol::Json, "Unknown", none());
    }
    if signed_for == Some("resource-groups") {
        return made(Service::ResourceGroups, Protocol::RestJson, "Unknown", none());
    }
    let form =
        if incoming.body.is_empty() { query } else { Form::parse(&String::from_utf8_lossy(&incoming.body)) };
    let service = by_form(&form, signed_for);
    let protocol = if service == Service::Ec2 { Protocol::Ec2 } else { Protocol::Query };
    let api = form.get("Action").unwrap_or("Unknown").to_owned();
    made(service, protocol, &api, form)
}

fn made(service: Service, protocol: Protocol, api: &str, form: Form) -> Route {
    Route { service, protocol, api: api.to_owned(), form }
}

fn by_form(form: &Form, signed_for: Option<&str>) -> Service {
    match (form.get("Version"), signed_for) {
        (Some("2011-06-15"), _) | (None, Some("sts")) => Service::Sts,
        (Some("2011-01-01"), _) | (None, Some("autoscaling")) => Service::AutoScaling,
        (Some("2015-12-01"), _) | (None, Some("elasticloadbalancing")) => Service::LoadBalancing,
        (Some("2010-08-01"), _) | (None, Some("monitoring")) => Service::CloudWatch,
        (_, Some("sts")) => Service::Sts,
        _ => Service::Ec2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(service: &str) -> Option<Scope> {
        Some(Scope { access_key: "A".into(), region: "us-east-1".into(), service: service.into() })
    }

    fn ask(method: &str, path: &str, query: &str, body: &str) -> Incoming {
        Incoming {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: BTreeMap::from([("host".to_owned(), "127.0.0.1:1".to_owned())]),
            body: body.as_bytes().to_vec(),
            endpoint: String::new(),
        }
    }

    fn meant(incoming: &Incoming, service: Option<Scope>) -> (Service, Protocol, String) {
        let route = route(incoming, service.as_ref());
        (route.service, route.protocol, route.api)
    }

    #[test]
    fn requests_are_told_apart() {
        let form = |body: &str, service: &str| meant(&ask("POST", "/", "", body), scope(service));
        assert_eq!(
            form("Action=DescribeAutoScalingGroups&Version=2011-01-01", "autoscaling"),
            (Service::AutoScaling, Protocol::Query, "DescribeAutoScalingGroups".into())
        );
        assert_eq!(form("Action=X&Version=2015-12-01", "elasticloadbalancing").0, Service::LoadBalancing);
        assert_eq!(form("Action=X&Version=2010-08-01", "monitoring").0, Service::CloudWatch);
        assert_eq!(form("Action=X&Version=2016-11-15", "ec2").1, Protocol::Ec2);
        let cbor = ask("POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", "", "");
        assert_eq!(
            meant(&cbor, scope("monitoring")),
            (Service::CloudWatch, Protocol::Cbor, "DescribeAlarms".into())
        );
        let mut json = ask("POST", "/", "", "{}");
        json.headers.insert("x-amz-target".into(), "Logs_20140328.GetLogEvents".into());
        assert_eq!(meant(&json, scope("logs")), (Service::Logs, Protocol::Json, "GetLogEvents".into()));
        let groups = ask("POST", "/groups-list", "maxResults=5", "{}");
        assert_eq!(meant(&groups, scope("resource-groups")).2, "ListGroups");
        let unknown = meant(&ask("POST", "/get-account-settings", "", "{}"), scope("resource-groups"));
        assert_eq!(unknown, (Service::ResourceGroups, Protocol::RestJson, "Unknown".into()));
        assert_eq!(meant(&ask("GET", "/b/k", "", ""), scope("s3")).2, "GetObject");
        assert_eq!(meant(&ask("GET", "/b", "list-type=2", ""), None).2, "ListObjectsV2");
        assert_eq!(
            meant(&ask("GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", ""), None).0,
            Service::Sts
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(method in "GET|PUT|POST|HEAD|DELETE|.*", path in ".*", query in ".*", body in ".*", signed in "s3|ssm|ec2|.*") {
            route(&ask(&method, &path, &query, &body), scope(&signed).as_ref());
        }
    }
}
