//! An answer that several protocols can write: awsQuery, awsJson and rpc-v2-cbor.

use super::cbor;
use super::xml::Xml;
use crate::clock::At;
use serde_json::{Value, json};

/// A value of a modeled answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    Time(At),
    List(Vec<Tree>),
    Members(Vec<(&'static str, Tree)>),
}

impl Tree {
    pub(crate) fn text(text: impl Into<String>) -> Tree {
        Tree::Text(text.into())
    }

    /// As awsJson: times are seconds since 1970.
    pub(crate) fn json(&self) -> Value {
        match self {
            Tree::Text(text) => json!(text),
            Tree::Whole(number) => json!(number),
            Tree::Number(number) => json!(number),
            Tree::Flag(flag) => json!(flag),
            Tree::Time(at) => json!(at.epoch_seconds()),
            Tree::List(items) => items.iter().map(Tree::json).collect(),
            Tree::Members(members) => Value::Object(
                members.iter().map(|(name, value)| ((*name).to_owned(), value.json())).collect(),
            ),
        }
    }

    /// As rpc-v2-cbor: times are tagged seconds since 1970.
    pub(crate) fn cbor(&self) -> cbor::Value {
        match self {
            Tree::Text(text) => cbor::Value::Text(text.clone()),
            Tree::Whole(number) => cbor::Value::whole(*number),
            Tree::Number(number) => cbor::Value::Float(*number),
            Tree::Flag(flag) => cbor::Value::Bool(*flag),
            Tree::Time(at) => cbor::Value::Tag(1, Box::new(cbor::Value::Float(at.epoch_seconds()))),
            Tree::List(items) => cbor::Value::Array(items.iter().map(Tree::cbor).collect()),
            Tree::Members(members) => cbor::Value::Map(
                members
                    .iter()
                    .map(|(name, value)| (cbor::Value::Text((*name).to_owned()), value.cbor()))
                    .collect(),
            ),
        }
    }

    /// As awsQuery: lists have an element `member` for each item.
    pub(crate) fn xml(&self, name: &str, xml: &mut Xml) {
        match self {
            Tree::Text(text) => xml.text(name, text),
            Tree::Whole(number) => xml.text(name, &number.to_string()),
            Tree::Number(number) => xml.text(name, &number.to_string()),
            Tree::Flag(flag) => xml.text(name, if *flag { "true" } else { "false" }),
            Tree::Time(at) => xml.text(name, &at.rfc3339_millis()),
            Tree::List(items) => xml.members(name, items, |xml, item| item.inside(xml)),
            Tree::Members(_) => xml.element(name, |xml| self.inside(xml)),
        }
    }

    /// The members, without an element around them; a scalar is its text.
    pub(crate) fn inside(&self, xml: &mut Xml) {
        match self {
            Tree::Members(members) => members.iter().for_each(|(name, value)| value.xml(name, xml)),
            Tree::Text(text) => xml.content(text),
            other => xml.content(&other.json().to_string()),
        }
    }
}
