// What Argo CD and Flux make of an object, by the libraries that they are built from: gopher-lua with as little of Lua's
// library as Argo CD allows, Flux's evaluator of CEL expressions, and kstatus. Prints JSON.
//
//	gitops lua SCRIPT OBJECT          what a health check, a discovery or an action returns
//	gitops flux KUSTOMIZATION OBJECT  health by its healthCheckExprs
//	gitops kstatus OBJECT             health where no expression is written
//	gitops known OBJECT               refuses a Kustomization or GitRepository with a field that Flux does not know
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	kustomize "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/cel"
	source "github.com/fluxcd/source-controller/api/v1"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
	"sigs.k8s.io/yaml"
)

func main() {
	answer, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) (any, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("usage: gitops lua SCRIPT OBJECT | flux KUSTOMIZATION OBJECT | kstatus OBJECT | known OBJECT")
	}
	path := args[len(args)-1]
	object, err := read(path)
	if err != nil {
		return nil, err
	}
	switch verb := args[0]; {
	case verb == "lua" && len(args) == 3:
		return runLua(args[1], object)
	case verb == "flux" && len(args) == 3:
		return runFlux(args[1], object)
	case verb == "kstatus" && len(args) == 2:
		return code(status.Compute(object))
	case verb == "known" && object.GetKind() == "Kustomization":
		return true, decode(path, &kustomize.Kustomization{})
	case verb == "known" && object.GetKind() == "GitRepository":
		return true, decode(path, &source.GitRepository{})
	default:
		return nil, fmt.Errorf("not understood: %v", args)
	}
}

func read(path string) (*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(text)
}

func code(result *status.Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return result.Status, nil
}

func decode(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(text, into)
}

func runFlux(path string, object *unstructured.Unstructured) (any, error) {
	var wanted kustomize.Kustomization
	if err := decode(path, &wanted); err != nil {
		return nil, err
	}
	for _, check := range wanted.Spec.HealthCheckExprs {
		if check.APIVersion == object.GetAPIVersion() && check.Kind == object.GetKind() {
			evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
			if err != nil {
				return nil, err
			}
			return code(evaluator.Evaluate(context.Background(), object))
		}
	}
	return nil, fmt.Errorf("%s has no expressions for %s", path, object.GetKind())
}

// Argo CD gives a script the basic functions, table, and of os only date and time: no string, no io. It has a second.
func runLua(path string, object *unstructured.Unstructured) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.OsLibName: lua.OpenOs,
	} {
		state.Push(state.NewFunction(open))
		state.Push(lua.LString(name))
		state.Call(1, 0)
	}
	all := state.GetGlobal(lua.OsLibName)
	state.PreloadModule(lua.OsLibName, func(state *lua.LState) int {
		safe := state.NewTable()
		for _, name := range []string{"date", "time"} {
			safe.RawSetString(name, state.GetField(all, name))
		}
		state.Push(safe)
		return 1
	})
	state.SetField(state.GetField(state.GetGlobal(lua.LoadLibName), "loaded"), lua.OsLibName, lua.LNil)
	state.SetGlobal(lua.OsLibName, lua.LNil)
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)

	value, err := plain(object.Object)
	if err != nil {
		return nil, err
	}
	state.SetGlobal("obj", luajson.DecodeValue(state, value))
	if err := state.DoFile(path); err != nil {
		return nil, err
	}
	text, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return nil, err
	}
	var answer any
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, err
	}
	return mended(answer, value), nil
}

// Every number a float64, as the Lua library wants it.
func plain(object any) (value any, err error) {
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	return value, err
}

// An empty table may be a list or a map. Where there had been a map, Argo CD makes it one again: `idle: {}`.
func mended(after, before any) any {
	switch after := after.(type) {
	case []any:
		if _, ok := before.(map[string]any); ok && len(after) == 0 {
			return map[string]any{}
		}
		list, _ := before.([]any)
		for i := range min(len(after), len(list)) {
			after[i] = mended(after[i], list[i])
		}
	case map[string]any:
		was, _ := before.(map[string]any)
		for key := range after {
			after[key] = mended(after[key], was[key])
		}
	}
	return after
}
