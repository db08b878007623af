-- Jobs that failed and wait for their next try: few, and looked for by people.
create index job_retrying on onefold.job (id) where state = 0 and attempt > 0;
