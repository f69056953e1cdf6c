// Postman without Postman: the exported files, run by Postman's own runner.

import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import newman from 'newman';
import { grantor, temporaryFolder } from './server.js';

/**
 * Exports the collection and its two environments for a running server, with all that may be
 * written of its demo clients. Never a secret: that is typed into Postman.
 */
export async function exportPostman(server) {
  const { folder, remove } = await temporaryFolder();
  try {
    grantor(
      'postman',
      ...['--output', folder],
      ...['--data', server.folder],
      ...['--staging-url', server.staging.base_url],
      ...['--production-url', server.production.base_url],
    );
    const files = {};
    for (const name of await readdir(folder)) {
      files[name] = JSON.parse(await readFile(path.join(folder, name), 'utf8'));
    }
    return files;
  } finally {
    await remove();
  }
}

export const COLLECTION = 'grantor.postman_collection.json';
export const environmentFile = (name) => `grantor-${name}.postman_environment.json`;

/**
 * Runs the collection as a person would who pasted `variables` into the environment. Returns the
 * failures and the executions, each with its name, request and response.
 */
export function runCollection(files, environmentName, variables) {
  return new Promise((resolve, reject) => {
    newman.run(
      {
        collection: files[COLLECTION],
        environment: files[environmentFile(environmentName)],
        envVar: Object.entries(variables).map(([key, value]) => ({ key, value })),
        reporters: [],
      },
      (error, summary) => {
        if (error) reject(error);
        else {
          resolve({
            failures: summary.run.failures.map(
              ({ source, error }) => `${source?.name}: ${error.name}: ${error.message}`,
            ),
            executions: summary.run.executions.map(({ item, request, response }) => ({
              name: item.name,
              method: request.method,
              url: new URL(request.url.toString()),
              headers: Object.fromEntries(
                request.headers.all().map(({ key, value }) => [key.toLowerCase(), value]),
              ),
              body: request.body?.toString() ?? '',
              status: response?.code,
              responseHeaders: Object.fromEntries(
                (response?.headers.all() ?? []).map(({ key, value }) => [key.toLowerCase(), value]),
              ),
              text: response?.text() ?? '',
            })),
          });
        }
      },
    );
  });
}
