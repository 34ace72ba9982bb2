/**
 * The few kinds of panels, variables and dashboards that the project's dashboards are made of, in the types of Grafana's
 * own library.
 *
 * @module
 */
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  BigValueColorMode,
  BigValueGraphMode,
  type DataSourceRef,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableFooterOptionsBuilder,
  TableSortByFieldStateBuilder,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  MappingType,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableHide,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder, PromQueryFormat } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TableBuilder } from "@grafana/grafana-foundation-sdk/table";
import { PanelBuilder as TimeSeriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/**
 * What tells an instance on its host from others. Its name and UUID do not stand here: while it migrates it is on two
 * hosts.
 */
export const KEY = "job, instance, libvirtname";

/** The same, with the names that are shown. */
export const OWNER = `${KEY}, novaname, novaproject`;

/** What an instance is called in a legend. */
const INSTANCE_LEGEND = "{{novaname}} ({{libvirtname}})";

/** What the labels that name an instance are called as columns of a table. */
export const INSTANCE_COLUMNS: Readonly<Record<string, string>> = {
  novaname: "Instance",
  libvirtname: "libvirt's name",
  novaproject: "Project",
  instance: "Host",
};

/**
 * Gives the series of instances their UUID, by which a click on them leads to the right one: two cells of Nova may have
 * given the same libvirt name.
 *
 * @param expression PromQL, whose series have the labels of {@link OWNER}
 * @param selector which instances it can be about, as matchers of PromQL
 */
export function withUuid(expression: string, selector: string): string {
  return `(${expression}) * on (${KEY}) group_left (uuid) ` +
    `group by (${KEY}, uuid) (libvirt_nova_instance_info{${selector}})`;
}

/** Where every panel gets its data: the Prometheus that is chosen on the dashboard. */
const SOURCE: DataSourceRef = { type: "prometheus", uid: "${datasource}" };

/** The tag by which the project's dashboards find each other. */
const TAG = "libvirt_nova";

/** The uid of the dashboard that shows one instance, to which lines of other dashboards lead. */
export const INSTANCE_UID = "libvirt-nova-instance";

/** Grafana's grid has 24 columns; the heights are in its rows. */
const [GRAPH_HEIGHT, STAT_HEIGHT, TABLE_HEIGHT] = [8, 4, 9];

/** A query and what its series are called in the legend; in a table, the title of its column. */
export interface Query {
  readonly expression: string;
  readonly legend: string;
  /** In a stacked graph: a line of its own, such as the whole that the others are parts of. */
  readonly apart?: boolean;
  /** Grafana's id of its unit as a column of a table. */
  readonly unit?: string;
}

/** What a panel shows. */
export interface PanelOptions {
  readonly title: string;
  /** What it shows, what it means, and which collector it needs if that is off by default. */
  readonly description: string;
  /** Grafana's id of the unit, such as `bytes`, `Bps`, `percentunit`, `s`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Its width, in columns of which a row has 24; half of them for a graph, all for a table, and 4 for a figure, when left out. */
  readonly span?: number;
  /** Values from which on it is orange, and red. */
  readonly limits?: readonly [warning: number, critical: number];
}

/** What a graph shows, but for its queries. */
interface GraphSettings extends Omit<PanelOptions, "queries"> {
  /** Whether series are laid on top of each other; only for parts of a whole. */
  readonly stacked?: boolean;
  /** The upper end of the axis; that of the data when left out. */
  readonly maximum?: number;
}

/** What a graph shows. */
export type GraphOptions =
  & GraphSettings
  & (
    | { readonly queries: readonly Query[] }
    /** PromQL with a line for each instance, a click on which leads there; its series have the label `uuid`. */
    | { readonly instances: string }
  );

/** What a figure shows. */
export interface FigureOptions extends PanelOptions {
  /** Words for values. */
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>;
}

/** A table: one row for each set of labels, one column for each query. */
export interface TableOptions extends Omit<PanelOptions, "unit" | "limits"> {
  /** Labels that are columns, with their titles; others are hidden. */
  readonly labels: Readonly<Record<string, string>>;
  /** Labels that the queries have and that are hidden. */
  readonly hidden?: readonly string[];
  /** Legend of the query by which it is sorted, greatest first. */
  readonly sortedBy?: string;
}

/** A row of panels under a heading. */
export interface Section {
  readonly title: string;
  readonly panels: readonly Builder<Panel>[];
}

/** What a dashboard has. */
export interface DashboardOptions {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Builder<VariableModel>[];
  readonly sections: readonly Section[];
}

/** Letters of the queries of a panel. */
const LETTERS = "ABCDEFGHIJ";

function thresholds([warning, critical]: readonly [number, number]): ThresholdsConfigBuilder {
  const steps: Threshold[] = [
    { value: null, color: "green" },
    { value: warning, color: "orange" },
    { value: critical, color: "red" },
  ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

/** Leads to the dashboard of the instance whose line was clicked. */
function instanceLink(): DashboardLinkBuilder {
  return new DashboardLinkBuilder("Show this instance").url(
    `/d/${INSTANCE_UID}?var-datasource=\${datasource}` +
      "&var-uuid=${__field.labels.uuid}&${__url_time_range}",
  );
}

/** A graph over time. */
export function graph(options: GraphOptions): Builder<Panel> {
  const { title, description, unit, span = 12, limits, maximum } = options;
  const queries: readonly Query[] = "instances" in options
    ? [{ expression: options.instances, legend: INSTANCE_LEGEND }]
    : options.queries;
  const panel = new TimeSeriesBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .unit(unit)
    .min(0)
    .span(span)
    .height(GRAPH_HEIGHT)
    .lineWidth(1)
    .fillOpacity(options.stacked ? 60 : 10)
    .showPoints(VisibilityMode.Never)
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(["lastNotNull", "max"]),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    )
    .targets(queries.map(({ expression, legend }, index) =>
      new DataqueryBuilder()
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend)
        .range()
        .refId(LETTERS.charAt(index))
    ));
  if (options.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  for (const { legend, apart } of queries) {
    if (apart) {
      panel.overrideByName(legend, [
        { id: "custom.stacking", value: { mode: "none" } },
        { id: "custom.fillOpacity", value: 0 },
      ]);
    }
  }
  if (limits !== undefined) {
    panel.thresholds(thresholds(limits)).thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed),
    );
  }
  if (maximum !== undefined) panel.max(maximum);
  if ("instances" in options) panel.dataLinks([instanceLink()]);
  return panel;
}

/** A single figure for each series, as of now. */
export function figure(options: FigureOptions): Builder<Panel> {
  const { title, description, unit, queries, span = 4, limits, words } = options;
  const panel = new StatBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .unit(unit)
    .span(span)
    .height(STAT_HEIGHT)
    .graphMode(BigValueGraphMode.None)
    .colorMode(
      limits === undefined && words === undefined
        ? BigValueColorMode.None
        : BigValueColorMode.Value,
    )
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .targets(queries.map(({ expression, legend }, index) =>
      new DataqueryBuilder()
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend)
        .instant()
        .refId(LETTERS.charAt(index))
    ));
  if (limits !== undefined) panel.thresholds(thresholds(limits));
  if (words !== undefined) {
    panel.mappings([{
      type: MappingType.ValueToText,
      options: Object.fromEntries(
        Object.entries(words).map(([value, word], index) => [value, { ...word, index }]),
      ),
    }]);
  }
  return panel;
}

/** A table of the present. */
export function table(options: TableOptions): Builder<Panel> {
  const { title, description, queries, span = 24, labels, hidden = [], sortedBy } = options;
  const isSingle = queries.length === 1;
  /** What Grafana calls a query's values before they are renamed. */
  const column = (index: number): string => isSingle ? "Value" : `Value #${LETTERS.charAt(index)}`;
  const titles = Object.fromEntries(queries.map(({ legend }, index) => [column(index), legend]));
  const panel = new TableBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .span(span)
    .height(TABLE_HEIGHT)
    .filterable(true)
    .footer(new TableFooterOptionsBuilder().show(false))
    .targets(queries.map(({ expression, legend }, index) =>
      new DataqueryBuilder()
        .datasource(SOURCE)
        .expr(expression)
        .legendFormat(legend)
        .format(PromQueryFormat.Table)
        .instant()
        .refId(LETTERS.charAt(index))
    ))
    .withTransformation({ id: "merge", options: {} })
    .withTransformation({
      id: "organize",
      options: {
        excludeByName: Object.fromEntries(
          ["Time", "__name__", "job", ...hidden].map((name) => [name, true]),
        ),
        indexByName: Object.fromEntries(
          [...Object.keys(labels), ...Object.keys(titles)].map((name, index) => [name, index]),
        ),
        renameByName: { ...labels, ...titles },
      },
    });
  for (const { legend, unit } of queries) {
    if (unit !== undefined) panel.overrideByName(legend, [{ id: "unit", value: unit }]);
  }
  if (sortedBy !== undefined) {
    panel.sortBy([new TableSortByFieldStateBuilder().displayName(sortedBy).desc(true)]);
  }
  return panel;
}

/** The variable by which a Prometheus is chosen. */
export function sourceVariable(): Builder<VariableModel> {
  return new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus");
}

/** How many of a variable's values may be chosen; `all`: several, or all that there are. */
export type Choice = "one" | "several" | "all";

/** What can be chosen by a variable. */
interface VariableOptions {
  readonly query: string;
  readonly choice: Choice;
  /** Where the text that is shown and the value stand in what the query gives; everything is both when left out. */
  readonly regex?: RegExp;
  readonly hidden?: boolean;
}

function queryVariable(
  name: string,
  title: string,
  { query, choice, regex, hidden = false }: VariableOptions,
): QueryVariableBuilder {
  const variable = new QueryVariableBuilder(name)
    .label(title)
    .datasource(SOURCE)
    .query({ query, refId: "StandardVariableQuery" })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc)
    .multi(choice !== "one")
    .includeAll(choice === "all");
  if (regex !== undefined) variable.regex(String(regex));
  if (hidden) variable.hide(VariableHide.HideVariable);
  return choice === "all"
    ? variable.current({ selected: true, text: "All", value: "$__all" })
    : variable;
}

/** The values of a label. */
export interface LabelChoice {
  readonly series: string;
  /** One whose values have neither quotes nor line feeds: Grafana puts them into a query as they are. */
  readonly label: "instance" | "libvirtname";
  readonly choice: Choice;
  /** What "all" stands for; a list of all values when left out, which is good for few. */
  readonly all?: string;
  /** Whether it follows from other variables and is not for choosing. */
  readonly hidden?: boolean;
}

/** A variable with the values that a label has. */
export function labelVariable(
  name: string,
  title: string,
  { series, label, choice, all, hidden = false }: LabelChoice,
): Builder<VariableModel> {
  const query = `label_values(${series}, ${label})`;
  const variable = queryVariable(name, title, { query, choice, hidden });
  return all === undefined ? variable : variable.allValue(all);
}

/** Ids, shown with names. */
export interface IdentifierChoice {
  /** Selector of libvirt_nova_instance_info, without braces. */
  readonly selector: string;
  readonly label: "project_id" | "uuid";
  /** The labels that are shown. */
  readonly names: readonly string[];
  readonly choice: Choice;
}

/**
 * A variable whose values are ids. Names are shown and never get into a query: Grafana does not escape the quotes and
 * line feeds that they may have, and two projects or instances may have the same. Of an id with several names, that
 * is shown which most instances carry.
 */
export function identifierVariable(
  name: string,
  title: string,
  { selector, label, names, choice }: IdentifierChoice,
): Builder<VariableModel> {
  const quoted = names.map((one) => `"${one}"`).join(", ");
  // Of both ends of the range, so that most instances can be chosen that have ended in it; all that it has would be
  // millions of samples. "shown" comes behind "project_id" and before "uuid", for Prometheus sorts labels by name.
  const info = `libvirt_nova_instance_info{${selector}}`;
  const query = `query_result(topk by (${label}) (1, count by (${label}, shown) (label_join(` +
    `(${info} or ${info} offset $__range), "shown", " / ", ${quoted}))))`;
  const regex = label === "project_id"
    ? /\{project_id="(?<value>[^"]*)",shown="(?<text>[\s\S]*)"\} /
    : /\{shown="(?<text>[\s\S]*)",uuid="(?<value>[^"]*)"\} /;
  const variable = queryVariable(name, title, { query, choice, regex });
  return choice === "all" ? variable.allValue(".*") : variable;
}

/** A dashboard with its rows, and links to the others. */
export function dashboard(options: DashboardOptions): Dashboard {
  const builder = new DashboardBuilder(options.title)
    .uid(options.uid)
    .description(options.description)
    .tags([TAG])
    .timezone("browser")
    .refresh("1m")
    .time({ from: "now-3h", to: "now" })
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([...options.variables])
    .link(
      new DashboardLinkBuilder("libvirt_nova")
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    );
  for (const { title, panels } of options.sections) {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  }
  const built = builder.build();
  // Links to a single panel need ids that stay.
  return {
    ...built,
    panels: (built.panels ?? []).map((panel, index) => ({ ...panel, id: index + 1 })),
  };
}
