// Histories that chance seldom makes keep the rules; and what breaks a rule is noticed.
import { expect } from "chai";
import { rolePolicyOf } from "../simulator/aws/iam";
import { found } from "../simulator/lists";
import { sinceKey, tagKey } from "../simulator/names";
import type { Program } from "../simulator/stack/program";
import { inWorld } from "../simulator/world";
import { type Excuse, excuses } from "./checkers/evidence";
import { asgPrefix, type History, live, theProgram } from "./history";
import { regressions } from "./regressions";

let program: Program;
before(async () => {
    program = await theProgram();
});

describe("The rules are kept when", () => {
    for (const [name, history] of Object.entries(regressions)) {
        it(name, async () => {
            expect((await live(theProgram, history)).violations).to.deep.equal([]);
        });
    }
});

describe("Without its excuse a rule is broken:", () => {
    for (const [excuse, history] of Object.entries(excuses)) {
        it(`${excuse}, when ${history}`, async () => {
            const { violations } = await live(theProgram, found(regressions[history]), excuse as Excuse);
            expect(violations).to.not.deep.equal([]);
        });
    }
});

it("Everything that the policy allows is asked for", async () => {
    const asked = new Set<string>();
    for (const history of Object.values(regressions).filter(({ settings }) => settings?.protectLeader)) {
        for (const action of (await live(theProgram, history)).actions) {
            asked.add(action);
        }
    }
    const policy = rolePolicyOf(await theProgram({ protectLeader: "true" }));
    const allowed = policy.Statement.flatMap(({ Action }) => Action);
    const ofLambda = /^(sqs|logs):/; // Lambda itself asks for these
    expect([...asked]).to.have.members([...new Set(allowed.filter((action) => !ofLambda.test(action)))]);
});

it("An orphan that has just lost its tags does not lose them again while reads lag", async () => {
    await inWorld(program, async ({ timeline, region, stack }) => {
        const tags = { [tagKey]: "true", [sinceKey]: "2026-11-23T05:00:00.000Z" };
        const orphan = region.addInstance(undefined, { tags });
        await timeline.pass(5000);
        stack.sweep();
        await timeline.pass(600);
        region.lag = () => 1000;
        stack.sweep();
        await timeline.pass(600);
        const writes = region.calls.filter(({ action }) => action === "ec2:DeleteTags");
        expect(region.tags(orphan)).to.deep.equal({});
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
