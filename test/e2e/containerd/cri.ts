/** The Container Runtime Interface as a kubelet speaks it: gRPC over the runtime's socket, one method a call. */
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { scaled } from '#test/limits.ts';

/** A call that takes longer hangs; a kubelet gives a runtime two minutes as well. */
const DEADLINE_MS = scaled(120_000);

/** What a pod is made from; cri.proto names the fields. */
export interface PodSandboxConfig {
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string };
  readonly hostname: string;
  readonly logDirectory: string;
  readonly portMappings: readonly PortMapping[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: { readonly cgroupParent: string };
}

/** A port of the node that leads to one of the pod. */
export interface PortMapping {
  readonly protocol: 'TCP' | 'UDP';
  readonly containerPort: number;
  readonly hostPort: number;
}

interface ContainerConfig {
  readonly metadata: { readonly name: string };
  readonly image: { readonly image: string };
  readonly command: readonly string[];
  readonly logPath: string;
}

type Empty = Readonly<Record<string, never>>;
type PodRequest = Readonly<{ podSandboxId: string; verbose?: boolean }>;

/** Methods with request and answer. */
interface Methods {
  Status: [Empty, { status: { conditions: { type: string; status: boolean; message: string }[] } }];
  RunPodSandbox: [{ config: PodSandboxConfig }, { podSandboxId: string }];
  StopPodSandbox: [PodRequest, Empty];
  RemovePodSandbox: [PodRequest, Empty];
  PodSandboxStatus: [
    PodRequest,
    { status: { state: string; network: { ip: string } | null }; info: Record<string, string> },
  ];
  ListPodSandbox: [Empty, { items: { id: string; state: string }[] }];
  CreateContainer: [
    { podSandboxId: string; config: ContainerConfig; sandboxConfig: PodSandboxConfig },
    { containerId: string },
  ];
  StartContainer: [{ containerId: string }, Empty];
  ExecSync: [
    { containerId: string; cmd: readonly string[]; timeout: number },
    { stdout: Buffer; stderr: Buffer; exitCode: number },
  ];
  ListImages: [Empty, { images: { repoTags: string[] }[] }];
}

const { runtime } = grpc.loadPackageDefinition(
  loadSync(join(import.meta.dirname, 'cri.proto'), {
    enums: String,
    longs: Number,
    defaults: true,
  }),
) as unknown as { runtime: { v1: Record<string, grpc.ServiceClientConstructor> } };

/** A connection to a runtime; counts what it asks for. */
export class Cri implements Disposable {
  /** How often each method was called. */
  readonly calls = new Map<string, number>();
  readonly #clients: readonly grpc.Client[];

  /** @param socket path of the runtime's socket */
  constructor(socket: string) {
    this.#clients = ['RuntimeService', 'ImageService'].map((service) => {
      const Client = runtime.v1[service];
      if (Client === undefined) throw new Error(`cri.proto has no service ${service}`);
      return new Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
        // The runtime comes back at the same path soon after it was killed.
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 500,
      });
    });
  }

  /** Calls a method. @throws Error (ServiceError of gRPC) as the runtime answers, or when there is none */
  call<Name extends keyof Methods>(
    name: Name,
    request: Methods[Name][0],
  ): Promise<Methods[Name][1]> {
    this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
    const client = this.#clients.find((candidate) => name in candidate);
    return new Promise((resolve, reject) => {
      const done = (error: grpc.ServiceError | null, answer: Methods[Name][1]) => {
        if (error === null) resolve(answer);
        else reject(new Error(`${name}: ${error.details}`, { cause: error }));
      };
      const options = { deadline: Date.now() + DEADLINE_MS };
      (client as unknown as Record<string, (...args: unknown[]) => void>)[name]?.(
        request,
        options,
        done,
      );
    });
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
  }
}
