//! Parked mail: what would wait for long lies in the Mails table instead of going round in the queue.
//!
//! | pk | sk | item |
//! |---|---|---|
//! | `parked#<provider id>` | `<lane>#<milliseconds>#<hash>` | a mail, compressed; lanes sort in the order in which they are released |
//! | `parked-part#<hash>` | `<number>` | a part of a body that is too long for one item |
//! | `parking` | `<provider id>` | that the provider may have parked mail, and who releases some of it now |
//!
//! Parking and releasing can be repeated: an item's key follows from the mail's content, and a mail is in the queue before its
//! item is deleted, so that a worker that dies leaves one copy too many, which the ledger recognises.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use jiff::{SignedDuration, Timestamp};
use miniz_oxide::{deflate, inflate};
use sha2::{Digest as _, Sha256};

use super::item::string;
use super::mail::Mails;
use super::{Item, RecordError};
use crate::id::{MailId, ProviderId, TenantId};
use crate::queue::MAX_BODY_BYTES;

/// The most bytes of a body in one item, which may have 400 KB with its attributes (DynamoDB developer guide, "Quotas").
const MAX_PART_BYTES: usize = 350 * 1024;

/// The bodies of a page, in bytes, after which it ends: whoever releases holds several pages, and a mail may have 1 MiB.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The most writes of one request (DynamoDB API, `BatchWriteItem`).
const MAX_WRITES: usize = 25;

/// How often writes that DynamoDB left unprocessed are repeated.
const MAX_ROUNDS: u32 = 4;
const FIRST_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// The compression level: the one that costs half a millisecond for a mail of 10 KB.
const LEVEL: u8 = 4;

/// How long an item lives after its mail has expired: long enough for whoever tells of the expiry.
const LIFE_AFTER_EXPIRY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// For how long a process need not write again that a provider has parked mail.
pub const PARKING_NOTED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// After which time without parked mail a provider is forgotten. Much longer than [`PARKING_NOTED_FOR`], so that a mail is never
/// parked under a provider that was forgotten meanwhile.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// For how long one worker releases a provider's mail before another may.
const RELEASE_LEASE: SignedDuration = SignedDuration::from_secs(50);

const PARKING: &str = "parking";

/// The order in which parked mail is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParkedLane {
    /// Before everything else, by when it was handed over.
    High,
    /// By when it was handed over.
    Normal,
    /// Not before a time that the mail names, by that time.
    NotBefore,
}

/// A mail that is parked.
#[derive(Clone, PartialEq, Eq)]
pub struct ParkedMail {
    /// The provider that it waits for.
    pub provider_id: ProviderId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The caller's idempotency key.
    pub mail_id: MailId,
    /// Its lane.
    pub lane: ParkedLane,
    /// What it is ordered by in its lane: when it was handed over, or the time that it names.
    pub order: Timestamp,
    /// The recipients that SES counts.
    pub recipients: u32,
    /// When it expires.
    pub expires: Timestamp,
    /// How often it was requeued.
    pub hops: u32,
    /// The message's body.
    pub body: String,
}

/// A page of parked mail.
#[derive(Default)]
pub struct ParkedPage {
    /// The mails, in the order in which they are released.
    pub mails: Vec<ParkedMail>,
    /// Keys of items that are no mails, or whose parts are gone.
    pub unreadable: Vec<String>,
    /// Where the next page starts, if there is more.
    pub next: Option<Item>,
}

impl ParkedLane {
    const ALL: [Self; 3] = [Self::High, Self::Normal, Self::NotBefore];

    /// What its sort keys begin with. Characters of ascending order.
    const fn prefix(self) -> &'static str {
        match self {
            Self::High => "0#",
            Self::Normal => "1#",
            Self::NotBefore => "2#",
        }
    }
}

impl ParkedMail {
    /// The partition of a provider's parked mail.
    pub fn pk(provider_id: &ProviderId) -> String {
        format!("parked#{provider_id}")
    }

    /// Its sort key. A mail that is parked again with the same body has the same one.
    pub fn sk(&self) -> String {
        format!("{}{:013}#{}", self.lane.prefix(), self.order.as_millisecond(), self.hash())
    }

    fn hash(&self) -> String {
        let (tenant_id, mail_id) = (self.tenant_id.as_str(), self.mail_id.as_str());
        let digest = [tenant_id, mail_id, &self.body]
            .iter()
            .fold(Sha256::new(), |hasher, text| hasher.chain_update(text).chain_update([0]))
            .finalize();
        base16ct::lower::encode_string(&digest[..16])
    }

    /// Its items, the parts first: who sees the mail sees all of it.
    fn items(&self) -> Vec<Item> {
        let compressed = deflate::compress_to_vec(self.body.as_bytes(), LEVEL);
        let number = |value: i64| AttributeValue::N(value.to_string());
        let expires_at = self.expires.saturating_add(LIFE_AFTER_EXPIRY).unwrap_or(Timestamp::MAX).as_second();
        let parts: Vec<&[u8]> = compressed.chunks(MAX_PART_BYTES).collect();
        let mut head = Item::from([
            ("pk".to_owned(), string(Self::pk(&self.provider_id))),
            ("sk".to_owned(), string(self.sk())),
            ("tenant_id".to_owned(), string(self.tenant_id.as_str())),
            ("mail_id".to_owned(), string(self.mail_id.as_str())),
            ("order_ms".to_owned(), number(self.order.as_millisecond())),
            ("recipients".to_owned(), number(self.recipients.into())),
            ("expires_ms".to_owned(), number(self.expires.as_millisecond())),
            ("hops".to_owned(), number(self.hops.into())),
            ("expires_at".to_owned(), number(expires_at)),
        ]);
        if let [body] = parts[..] {
            head.insert("body".to_owned(), AttributeValue::B(Blob::new(body)));
            return vec![head];
        }
        head.insert("parts".to_owned(), number(i64::try_from(parts.len()).unwrap_or(i64::MAX)));
        let hash = self.hash();
        let part = |(index, body): (usize, &&[u8])| {
            Item::from([
                ("pk".to_owned(), string(part_pk(&hash))),
                ("sk".to_owned(), string(format!("{index:03}"))),
                ("body".to_owned(), AttributeValue::B(Blob::new(*body))),
                ("expires_at".to_owned(), number(expires_at)),
            ])
        };
        parts.iter().enumerate().map(part).chain([head]).collect()
    }

    /// The keys of its items, the mail before its parts: what is left of it when a worker dies is no mail.
    fn keys(&self) -> Vec<Item> {
        // What does not compress gets a few bytes longer.
        let parts = match self.body.len() < MAX_PART_BYTES - 1024 {
            true => 1,
            false => deflate::compress_to_vec(self.body.as_bytes(), LEVEL).len().div_ceil(MAX_PART_BYTES),
        };
        let key = |pk: String, sk: String| Item::from([("pk".to_owned(), string(pk)), ("sk".to_owned(), string(sk))]);
        let hash = self.hash();
        let parts = (0..parts).filter(|_| parts > 1).map(|index| key(part_pk(&hash), format!("{index:03}")));
        std::iter::once(key(Self::pk(&self.provider_id), self.sk())).chain(parts).collect()
    }

    /// Reads a mail's own item; its body, where the item has it.
    fn from_item(item: &Item) -> Option<(Self, Option<Vec<u8>>)> {
        let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let sk = text("sk")?;
        let mail = Self {
            provider_id: ProviderId::parse(text("pk")?.strip_prefix("parked#")?).ok()?,
            tenant_id: TenantId::parse(text("tenant_id")?).ok()?,
            mail_id: MailId::parse(text("mail_id")?).ok()?,
            lane: ParkedLane::ALL.into_iter().find(|lane| sk.starts_with(lane.prefix()))?,
            order: Timestamp::from_millisecond(number("order_ms")?).ok()?,
            recipients: number("recipients").and_then(|count| u32::try_from(count).ok())?,
            expires: Timestamp::from_millisecond(number("expires_ms")?).ok()?,
            hops: number("hops").and_then(|hops| u32::try_from(hops).ok())?,
            body: String::new(),
        };
        let body = item.get("body").and_then(|body| body.as_b().ok()).map(|body| body.as_ref().to_vec());
        Some((mail, body))
    }
}

impl Mails {
    /// Parks a mail.
    ///
    /// # Errors
    /// DynamoDB did not take it: the mail has to stay where it was.
    pub async fn park(&self, mail: &ParkedMail) -> Result<(), RecordError> {
        // One after the other: a request has no order, and the mail's own item comes last.
        for item in mail.items() {
            self.write_all(puts(vec![item])).await?;
        }
        Ok(())
    }

    /// The parked mail of a provider in the order in which it is released, read consistently: high and normal, or what may go at
    /// `due`. At most `limit` mails, and fewer if they are long. `start` is the `next` of the page before.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn parked(
        &self,
        provider_id: &ProviderId,
        due: Option<Timestamp>,
        limit: usize,
        start: Option<Item>,
    ) -> Result<ParkedPage, RecordError> {
        let pk = ParkedMail::pk(provider_id);
        let (from, to) = match due {
            None => (ParkedLane::High.prefix().to_owned(), ParkedLane::NotBefore.prefix().to_owned()),
            Some(due) => {
                let prefix = ParkedLane::NotBefore.prefix();
                (prefix.to_owned(), format!("{prefix}{:013}", due.as_millisecond()))
            }
        };
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", string(&pk))
            .expression_attribute_values(":from", string(from))
            .expression_attribute_values(":to", string(to))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", &pk))?;
        let mut page = ParkedPage { next: answer.last_evaluated_key, ..ParkedPage::default() };
        let mut items = answer.items.unwrap_or_default().into_iter();
        let mut bytes = 0;
        while let Some(item) = items.next() {
            let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            let Some((mut mail, body)) = ParkedMail::from_item(&item) else {
                page.unreadable.push(sk);
                continue;
            };
            let body = match body {
                Some(body) => body,
                None => self.parts(sk.rsplit('#').next().unwrap_or_default()).await?,
            };
            match inflate::decompress_to_vec_with_limit(&body, 2 * MAX_BODY_BYTES).ok().map(String::from_utf8) {
                Some(Ok(body)) => {
                    bytes += body.len();
                    mail.body = body;
                    page.mails.push(mail);
                }
                _ => page.unreadable.push(sk.clone()),
            }
            if bytes >= MAX_PAGE_BYTES && items.len() > 0 {
                page.next = Some(Item::from([("pk".to_owned(), string(&pk)), ("sk".to_owned(), string(sk))]));
                break;
            }
        }
        Ok(page)
    }

    /// Deletes parked mails. What is left when DynamoDB does not answer is released once more.
    ///
    /// # Errors
    /// DynamoDB did not answer, or left some unprocessed.
    pub async fn unpark(&self, mails: &[ParkedMail]) -> Result<(), RecordError> {
        let keys: Vec<Item> = mails.iter().flat_map(ParkedMail::keys).collect();
        for chunk in keys.chunks(MAX_WRITES) {
            self.write_all(deletes(chunk.to_vec())).await?;
        }
        Ok(())
    }

    /// Notes that a provider has parked mail, which a worker looks for every minute.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn note_parking(&self, provider_id: &ProviderId, now: Timestamp) -> Result<(), RecordError> {
        self.parking(provider_id)
            .update_expression("SET noted_ms = :now")
            .expression_attribute_values(":now", millis(now))
            .send()
            .await
            .map_err(RecordError::dynamodb("UpdateItem", PARKING))?;
        Ok(())
    }

    /// A page of the providers that may have parked mail. `start` is the last one of the page before.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_parking(&self, start: Option<Item>) -> Result<(Vec<ProviderId>, Option<Item>), RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(PARKING))
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", PARKING))?;
        let id = |item: &Item| ProviderId::parse(item.get("sk")?.as_s().ok()?).ok();
        Ok((answer.items.unwrap_or_default().iter().filter_map(id).collect(), answer.last_evaluated_key))
    }

    /// Elects who releases a provider's mail for the next minute. False if another does.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn elect_release(&self, provider_id: &ProviderId, now: Timestamp) -> Result<bool, RecordError> {
        let lease = now.saturating_add(RELEASE_LEASE).unwrap_or(now);
        let request = self
            .parking(provider_id)
            .update_expression("SET lease_ms = :lease")
            .condition_expression("attribute_exists(noted_ms) AND (attribute_not_exists(lease_ms) OR lease_ms <= :now)")
            .expression_attribute_values(":lease", millis(lease))
            .expression_attribute_values(":now", millis(now));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(RecordError::dynamodb("UpdateItem", PARKING)(error)),
            },
        }
    }

    /// Forgets a provider without parked mail, unless some was parked in the last minutes.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn forget_parking(&self, provider_id: &ProviderId, now: Timestamp) -> Result<(), RecordError> {
        let before = now.saturating_sub(FORGOTTEN_AFTER).unwrap_or(now);
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", string(PARKING))
            .key("sk", string(provider_id.as_str()))
            .condition_expression("noted_ms < :before")
            .expression_attribute_values(":before", millis(before));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(RecordError::dynamodb("DeleteItem", PARKING)(error)),
        }
    }

    fn parking(
        &self,
        provider_id: &ProviderId,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(PARKING))
            .key("sk", string(provider_id.as_str()))
    }

    /// The body of a mail in parts, compressed. Empty if a part is missing, which is no compressed text.
    async fn parts(&self, hash: &str) -> Result<Vec<u8>, RecordError> {
        let pk = part_pk(hash);
        let (mut body, mut start) = (Vec::new(), None);
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", string(&pk))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(RecordError::dynamodb("Query", &pk))?;
            for item in answer.items.unwrap_or_default() {
                body.extend(item.get("body").and_then(|part| part.as_b().ok()).map(Blob::as_ref).unwrap_or_default());
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(body);
            }
        }
    }

    /// Makes writes, again where DynamoDB left them unprocessed.
    async fn write_all(&self, writes: Vec<WriteRequest>) -> Result<(), RecordError> {
        let mut remaining = std::collections::HashMap::from([(self.table.clone(), writes)]);
        for round in 0..MAX_ROUNDS {
            if round > 0 {
                tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(round - 1)).await;
            }
            let answer = self
                .client
                .batch_write_item()
                .set_request_items(Some(remaining))
                .send()
                .await
                .map_err(RecordError::dynamodb("BatchWriteItem", "parked"))?;
            remaining = answer.unprocessed_items.unwrap_or_default();
            if remaining.is_empty() {
                return Ok(());
            }
        }
        Err(RecordError::dynamodb("BatchWriteItem", "parked")("DynamoDB left writes unprocessed again and again"))
    }
}

fn part_pk(hash: &str) -> String {
    format!("parked-part#{hash}")
}

fn puts(items: Vec<Item>) -> Vec<WriteRequest> {
    let put = |item| PutRequest::builder().set_item(Some(item)).build().ok();
    items.into_iter().filter_map(put).map(|put| WriteRequest::builder().put_request(put).build()).collect()
}

fn deletes(keys: Vec<Item>) -> Vec<WriteRequest> {
    let delete = |key| DeleteRequest::builder().set_key(Some(key)).build().ok();
    keys.into_iter().filter_map(delete).map(|delete| WriteRequest::builder().delete_request(delete).build()).collect()
}

fn millis(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millisecond().to_string())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};

    use super::*;
    use crate::runtime::{Ambient, ColdStart, Environment};
    use crate::testing::fake_aws;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn parked(lane: ParkedLane, order_ms: i64, body: &str) -> ParkedMail {
        ParkedMail {
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            tenant_id: TenantId::parse("acme").unwrap(),
            mail_id: MailId::parse("m").unwrap(),
            lane,
            order: at(order_ms),
            recipients: 2,
            expires: at(1_900_000_000_000),
            hops: 3,
            body: body.to_owned(),
        }
    }

    #[test]
    fn keys_sort_as_mail_is_released() {
        let mails = [
            parked(ParkedLane::High, 999_999_999_999, "a"),
            parked(ParkedLane::High, 1_800_000_000_000, "a"),
            parked(ParkedLane::Normal, 999_999_999_999, "a"),
            parked(ParkedLane::Normal, 1_800_000_000_000, "a"),
            parked(ParkedLane::NotBefore, 1_700_000_000_000, "a"),
        ];
        let keys: Vec<String> = mails.iter().map(ParkedMail::sk).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        // Other content under the same id is another item, and the same content is the same one.
        assert_ne!(parked(ParkedLane::High, 1, "a").sk(), parked(ParkedLane::High, 1, "b").sk());
        assert_eq!(parked(ParkedLane::High, 1, "a").sk(), parked(ParkedLane::High, 1, "a").sk());
    }

    #[test]
    fn a_mail_is_read_as_it_was_written() {
        let mail = parked(ParkedLane::Normal, 1_800_000_000_123, "{\"text\": \"Grüße\"}");
        let items = mail.items();
        assert_eq!(items.len(), 1);
        let (read, body) = ParkedMail::from_item(&items[0]).unwrap();
        let body = String::from_utf8(inflate::decompress_to_vec(&body.unwrap()).unwrap()).unwrap();
        assert!(ParkedMail { body, ..read } == mail);
        assert_eq!(items[0]["expires_at"], AttributeValue::N((1_900_000_000 + 7 * 24 * 3600).to_string()));
        assert_eq!(
            mail.keys(),
            [Item::from([("pk".to_owned(), items[0]["pk"].clone()), ("sk".to_owned(), items[0]["sk"].clone())])]
        );
    }

    #[test]
    fn a_long_body_lies_in_parts_which_are_written_before_the_mail_and_deleted_after_it() {
        // What does not compress: as an attachment in base64.
        let mut seed = 7_u64;
        let noise: String = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'0' + u8::try_from(seed >> 58).unwrap())
        })
        .take(1_000_000)
        .collect();
        let mail = parked(ParkedLane::Normal, 1, &noise);
        let items = mail.items();
        let pks: Vec<&str> = items.iter().map(|item| item["pk"].as_s().unwrap().split('#').next().unwrap()).collect();
        assert_eq!(pks, ["parked-part", "parked-part", "parked-part", "parked"]);
        let bodies: Vec<u8> =
            items[..3].iter().flat_map(|item| item["body"].as_b().unwrap().as_ref().to_vec()).collect();
        assert_eq!(inflate::decompress_to_vec(&bodies).unwrap(), noise.as_bytes());
        let keys = mail.keys();
        assert_eq!(keys[0]["pk"], items[3]["pk"]);
        assert_eq!(
            keys[1..],
            items[..3]
                .iter()
                .map(|item| {
                    Item::from([("pk".to_owned(), item["pk"].clone()), ("sk".to_owned(), item["sk"].clone())])
                })
                .collect::<Vec<_>>()
        );
    }

    /// A table whose Query answers with these mails.
    fn table_of(mails: &[ParkedMail]) -> Mails {
        let wire = |value: &AttributeValue| match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::B(bytes) => json!({ "B": STANDARD.encode(bytes) }),
            other => panic!("{other:?}"),
        };
        let item = |mail: &ParkedMail| -> Value {
            let [item] = mail.items().try_into().unwrap();
            item.iter().map(|(name, value)| (name.clone(), wire(value))).collect()
        };
        let answer = json!({ "Items": mails.iter().map(item).collect::<Vec<_>>() }).to_string();
        let http = fake_aws(move |_| std::future::ready((200, answer.clone())));
        let environment = Environment::from_variables(&[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("MAILS_TABLE", "mails"),
        ]);
        let start = ColdStart { environment, ambient: Ambient::new(|| Timestamp::UNIX_EPOCH, || 0), http };
        Mails::new(start.dynamodb().unwrap(), &start.environment).unwrap()
    }

    #[tokio::test]
    async fn a_page_ends_where_its_mails_get_long_and_the_next_one_begins_there() {
        // Short on the wire, a megabyte each in memory.
        let long: Vec<_> = (0..10).map(|n| parked(ParkedLane::Normal, n, &"x".repeat(1_000_000))).collect();
        let page = table_of(&long).parked(&long[0].provider_id, None, 250, None).await.unwrap();
        assert_eq!(
            page.mails.len(),
            3,
            "of {} bytes together",
            page.mails.iter().map(|mail| mail.body.len()).sum::<usize>()
        );
        let next = page.next.unwrap();
        assert_eq!((&next["pk"], &next["sk"]), (&string(ParkedMail::pk(&long[0].provider_id)), &string(long[2].sk())));

        let last = table_of(&long[..3]).parked(&long[0].provider_id, None, 250, None).await.unwrap();
        assert_eq!((last.mails.len(), last.next), (3, None), "nothing is left");
        let short: Vec<_> = (0..250).map(|n| parked(ParkedLane::Normal, n, "a mail")).collect();
        let page = table_of(&short).parked(&short[0].provider_id, None, 250, None).await.unwrap();
        assert_eq!((page.mails.len(), page.next), (250, None));
    }
}
