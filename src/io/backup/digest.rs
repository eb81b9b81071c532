//! What a backup holds, as one SHA-256 for each member. SQLite's own check sees pages that do not fit together, and
//! no byte of a value that became another.

use super::super::store::DATABASE_FILE;
use ring::digest::{Context, SHA256};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};
use std::collections::BTreeMap;

/// Name and digest of each member.
type Digests = BTreeMap<String, Vec<u8>>;

/// Notes the digests of all that is in the backup.
pub(super) fn note(conn: &Connection) -> Result<()> {
    for (name, digest) in of_members(conn)? {
        conn.execute("INSERT INTO backup_digest VALUES (?1, ?2)", (name, digest))?;
    }
    Ok(())
}

/// The first member that is not what was noted; None where all are.
pub(super) fn first_changed(conn: &Connection) -> Result<Option<String>> {
    let mut noted = conn.prepare("SELECT name, sha256 FROM backup_digest")?;
    let noted: Digests = noted
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    let found = of_members(conn)?;
    let names = noted.keys().chain(found.keys());
    let mut changed = names.filter(|name| noted.get(*name) != found.get(*name));
    Ok(changed.next().cloned())
}

fn of_members(conn: &Connection) -> Result<Digests> {
    let mut members = Digests::from([(DATABASE_FILE.to_owned(), of_database(conn)?)]);
    let mut files = conn.prepare("SELECT name, content FROM backup_file")?;
    let mut rows = files.query([])?;
    while let Some(row) = rows.next()? {
        let content = ring::digest::digest(&SHA256, row.get_ref(1)?.as_bytes()?);
        members.insert(row.get(0)?, content.as_ref().to_vec());
    }
    Ok(members)
}

/// Of every row of every table, and of what the tables are; when the backup was made counts as the database's.
fn of_database(conn: &Connection) -> Result<Vec<u8>> {
    let mut context = Context::new(&SHA256);
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    context.update(&version.to_be_bytes());
    let own = "('backup_file', 'backup_digest')";
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name NOT IN";
    rows_of(
        conn,
        &format!("{schema} {own} ORDER BY type, name"),
        &mut context,
    )?;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN";
    let mut tables = conn.prepare(&format!("{tables} {own} ORDER BY name"))?;
    let names = tables.query_map([], |row| row.get::<_, String>(0))?;
    for name in names {
        // In the order of the table itself, which an index may not have.
        let name = name?.replace('"', "\"\"");
        rows_of(
            conn,
            &format!("SELECT * FROM \"{name}\" NOT INDEXED"),
            &mut context,
        )?;
    }
    Ok(context.finish().as_ref().to_vec())
}

/// Each value with its kind and length before it, so that none runs into the next.
fn rows_of(conn: &Connection, query: &str, context: &mut Context) -> Result<()> {
    let mut statement = conn.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            let number;
            let (kind, bytes): (u8, &[u8]) = match row.get_ref(column)? {
                ValueRef::Null => (0, &[]),
                ValueRef::Integer(value) => {
                    number = value.to_be_bytes();
                    (1, &number)
                }
                ValueRef::Real(value) => {
                    number = value.to_be_bytes();
                    (2, &number)
                }
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(blob) => (4, blob),
            };
            context.update(&[kind]);
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        }
    }
    Ok(())
}
