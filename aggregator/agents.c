/* SPDX-License-Identifier: Apache-2.0
 * agents: see the header. */
#include "aggregator/agents.h"

#include "aggregator/row.h"

bool agents_ask(const struct known *known, const struct batch *batch, struct arrays *arrays,
                struct database_statement *statement)
{
    static const enum arrays_type types[] = {ARRAYS_INT8, ARRAYS_TEXT};
    size_t count = 0;
    arrays_begin(arrays, types, 2);
    for (size_t i = 0; i < batch->agent_count; i++) {
        const struct batch_agent *agent = &batch->agents[i];
        if (known_has(known, agent->id))
            continue;
        row_add_int64(&arrays->columns[0], agent->id);
        row_add_text(&arrays->columns[1], agent->text);
        count++;
    }
    if (count == 0)
        return false;
    /* In one order everywhere: two programs that add the same agents cannot deadlock. */
    *statement = (struct database_statement){
        .sql = "INSERT INTO user_agents (id, user_agent)"
               " SELECT id, text FROM unnest($1::int8[], $2::text[]) AS agent (id, text) ORDER BY id"
               " ON CONFLICT DO NOTHING"};
    arrays_bind(arrays, count, statement);
    return true;
}

void agents_note_added(struct known *known, const struct batch *batch)
{
    for (size_t i = 0; i < batch->agent_count; i++)
        known_add(known, batch->agents[i].id);
}
