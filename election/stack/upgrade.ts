import * as pulumi from "@pulumi/pulumi";

/**
 * Where the function must be told to log if the stack had a log group of another name until now.
 *
 * The provider keeps a function's log group where the program names none, so without this an upgraded function would
 * write to the old group, which is gone. A new function, or one that was upgraded before, needs nothing: its group is
 * the default one, which has the function's name.
 *
 * @returns a name of a log group; undefined if there is nothing to change
 */
export async function movedLogGroup(): Promise<string | undefined> {
    const { functionName, logGroupName } = await outputsOfLastUpdate();
    return functionName && logGroupName && logGroupName !== defaultLogGroup(functionName)
        ? defaultLogGroup(functionName)
        : undefined;
}

/** The log group that Lambda takes for a function, and where `pulumi logs` looks. */
export const defaultLogGroup = (functionName: string): string => `/aws/lambda/${functionName}`;

/** The stack's outputs as its last update left them; none before the first, or if the backend can't tell. */
async function outputsOfLastUpdate(): Promise<Record<string, string | undefined>> {
    try {
        const name = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
        const { outputs } = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name });
        return outputs ?? {};
    } catch {
        return {}; // no reason not to deploy
    }
}
