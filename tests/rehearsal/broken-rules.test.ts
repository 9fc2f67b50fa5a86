// The rehearsal fails, by the name of the rule, when the function breaks one.
import { expect } from "chai";
import { seed } from "../histories/mutations";
import { programWith } from "../simulator/scenario";
import { type Options, rehearse } from "./rehearsal";

const together = { settings: { electorateTag: "team" } };
const protecting = { settings: { protectLeader: "true" } };

/** Faults by their names in histories/mutations, and a rule that each breaks. */
const faults: [fault: string, rule: string, options?: Options][] = [
    ["promote before demote", "no election makes a second leader"],
    ["demote no other leader", "at rest a group has one leader"],
    ["no instance leads while a group boots", "while a group boots, a member leads"],
    ["a vetoed instance is fit", "the leader is one that may lead"],
    ["a warned leader is fit", "the leader is one that may lead"],
    ["delete all tags", "no other tags are touched"],
    ["an orphan keeps its since", "only an orphan loses its since, and with the tag"],
    ["since from the clock alone", "since only grows"],
    ["the busiest leads", "the successor is healthy and idle"],
    ["write when nothing changed", "an instance that leads is not promoted again"],
    ["a dry run writes", "a dry run writes nothing", { settings: { dryRun: "true" } }],
    ["leave a demoted leader protected", "the protection of a demoted leader is removed", protecting],
    ["each group of an electorate for itself", "each group that an event names has an election", together],
    ["read the leaders of the group that an event names only", "a fit leader stays", together],
    ["no pause between leaders", "no two workers at once", { settings: { handoverSeconds: "18" }, workers: true }],
];

describe("npm start fails within seconds, and names the rule, with the fault", () => {
    for (const [fault, rule, options = {}] of faults) {
        it(`"${fault}": ${rule}`, async () => {
            const program = seed(fault, await programWith(options.settings));
            const { text, violations, status } = await rehearse(program, options);
            expect(violations.map((violation) => violation.rule)).to.include(rule);
            expect(status).to.equal(1);
            expect(text)
                .to.match(/\n\d\d:\d\d:\d\d .*✗ RULE BROKEN/)
                .and.match(/\n\d+ rules? w\w+ broken:\n/);
            expect(text).to.include("\nThe day ends here").and.include(`\n  ${rule}\n      `);
        });
    }
});
