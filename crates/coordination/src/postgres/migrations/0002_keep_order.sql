-- jsonb sorts the keys of an object: a flag is exported as it was imported, in the order of whoever wrote it.
alter table onefold.kv alter column value type json;
alter table onefold.kv_log alter column value type json, alter column previous type json;
