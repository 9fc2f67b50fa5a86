// Whatever happens to groups and to the function, in any order: the packaged function keeps its rules, and every group comes to
// rest as the decision table says. HISTORIES is how many histories are tried; SEED and REPLAY (the path that a failure prints) try one again.
import { expect } from "chai";
import * as fc from "fast-check";
import { rolePolicyOf } from "../simulator/aws/iam";
import type { Program } from "../simulator/stack/program";
import { inWorld } from "../simulator/world";
import { asgPrefix, type History, live, tagKey, theProgram } from "./history";
import { regressions } from "./regressions";
import { checkHistories, worlds } from "./worlds";

const histories = Number(process.env.HISTORIES ?? 1350);
const seed = process.env.SEED === undefined ? undefined : Number(process.env.SEED);
const path = process.env.REPLAY;
const kinds = Object.keys(worlds) as (keyof typeof worlds)[];

let program: Program;
before(async function () {
    this.timeout(30_000);
    program = await theProgram();
});

describe("In any history the rules are kept", () => {
    const asked = new Set<string>();

    for (const kind of kinds) {
        it(`with ${kind}`, async function () {
            this.timeout(0); // as long as it takes to try them all
            const runs = Math.ceil(histories / kinds.length);
            const { found, actions } = await checkHistories(theProgram, kind, { runs, seed, path });
            for (const action of actions) {
                asked.add(action);
            }
            if (found.failed) {
                throw new Error(fc.defaultReportMessage(found), { cause: found.errorInstance });
            }
        });
    }

    it("and everything that the policy allows is asked for", async () => {
        const policy = rolePolicyOf(await theProgram({ protectLeader: "true" }));
        const allowed = policy.Statement.flatMap(({ Action }) => Action);
        const ofQueueAndLogs = /^(sqs|logs):/; // asked for by Lambda itself
        expect([...asked]).to.have.members([...new Set(allowed.filter((action) => !ofQueueAndLogs.test(action)))]);
    });
});

describe("The rules are kept when", () => {
    for (const [name, history] of Object.entries(regressions)) {
        it(name, async () => {
            expect((await live(theProgram, history)).violations).to.deep.equal([]);
        });
    }
});

it("A stray that has just been stripped is not stripped again while reads lag", async () => {
    await inWorld(program, async ({ timeline, region, stack }) => {
        const tags = { [tagKey]: "true", [`${tagKey}:since`]: "2026-11-23T05:00:00.000Z" };
        const stray = region.addInstance(undefined, { tags });
        await timeline.pass(5000);
        stack.sweep();
        await timeline.pass(600);
        region.lag = () => 1000;
        stack.sweep();
        await timeline.pass(600);
        const writes = region.calls.filter(({ action }) => action === "ec2:DeleteTags");
        expect(region.tags(stray)).to.deep.equal({});
        expect(writes).to.have.length(1);
    });
});

describe("What breaks a rule is noticed:", () => {
    /** A leader is replaced, then the next is detached. */
    const history: History = {
        groups: [{ size: 2 }],
        acts: [
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "becomeUnhealthy", pick: { group: 0, who: "leader", n: 0 } } },
            { wait: 0, act: { kind: "sweep" } },
            { wait: 5000, act: { kind: "detach", pick: { group: 0, who: "leader", n: 0 } } },
        ],
    };

    it("nothing, as the program is", async () => {
        expect((await live(theProgram, history)).violations).to.deep.equal([]);
    });

    it("a policy that doesn't allow what the function does", async () => {
        const resources = program.resources.map((resource) => {
            const isRole = resource.type === "aws:iam/rolePolicy:RolePolicy";
            const policy = isRole ? resource.inputs.policy.replace(`${asgPrefix}*`, "other-*") : undefined;
            return isRole ? { ...resource, inputs: { ...resource.inputs, policy } } : resource;
        });
        const { violations } = await live(async () => ({ ...program, resources }), history);
        expect(violations[0]).to.contain("it does not allow ec2:CreateTags");
    });
});
